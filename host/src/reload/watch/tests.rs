//! What a watch returns, on real files.

use super::*;

#[tokio::test]
async fn a_tool_that_renames_its_own_file_over_a_source_saves_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a path");
    let source = root.join("app_lib/src/page.rs");
    fs::create_dir_all(root.join("app_lib/src")).expect("folders");
    fs::write(&source, "old").expect("a file");
    let (project, cookies) = (Project::in_folder(&root), Cookies::new(&root));
    let mut watch = Watch::new(&project, SettingsSaves::default(), Arc::default(), cookies)
        .expect("inotify is there");
    watch.set_inputs(&BTreeSet::from([root.join("app_lib")]), &Inputs::default());
    // As `sed -i` does: what was renamed away has no extension, and might have been a folder.
    let own = root.join("app_lib/src/sedAbCdEf");
    fs::write(&own, "new").expect("a file");
    fs::rename(&own, &source).expect("a rename");
    let changes = saved(&mut watch).await;
    assert_eq!(changes, Changes::from(["app_lib/src/page.rs".into()]));
    // A source that was there and goes is a change.
    fs::remove_file(&source).expect("a file");
    let changes = saved(&mut watch).await;
    assert_eq!(changes, Changes::from(["app_lib/src/page.rs".into()]));
}

async fn saved(watch: &mut Watch) -> Changes {
    loop {
        if let Some(changes) = watch.next(&Notify::new()).await {
            return changes;
        }
    }
}

#[tokio::test]
async fn who_sees_a_cookie_has_seen_what_was_saved_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a path");
    fs::create_dir_all(root.join("app_lib/src")).expect("folders");
    fs::create_dir(root.join(".dev")).expect("a folder");
    let (project, cookies, cleaned) = (
        Project::in_folder(&root),
        Cookies::new(&root),
        Arc::<Notify>::default(),
    );
    let mut watch = Watch::new(
        &project,
        SettingsSaves::default(),
        cleaned.clone(),
        cookies.clone(),
    )
    .expect("inotify is there");
    watch.set_inputs(&BTreeSet::from([root.join("app_lib")]), &Inputs::default());
    fs::write(root.join("app_lib/src/page.rs"), "new").expect("a file");
    let cookie = cookies.make().expect("a file");
    let first = cookie.number;
    drop(cookie);
    let changes = saved(&mut watch).await;
    assert_eq!(changes, Changes::from(["app_lib/src/page.rs".into()]));
    let second = cookies.make().expect("a file");
    while watch.cookie().is_none_or(|seen| seen < second.number) {
        assert!(watch.cookie().is_some_and(|seen| seen <= first));
        assert_eq!(watch.next(&Notify::new()).await, None);
    }
    // The file of a cookie goes, and that is no loss.
    drop(second);
    cookies.make().expect("a file");
    watch.next(&Notify::new()).await;
    let cleaned = tokio::time::timeout(Duration::ZERO, cleaned.notified());
    assert!(cleaned.await.is_err());
}

#[tokio::test]
async fn what_git_writes_comes_together_with_its_branch() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a path");
    fs::create_dir_all(root.join("app_lib/src")).expect("folders");
    fs::create_dir(root.join(".git")).expect("a folder");
    let (head, lock) = (root.join(".git/HEAD"), root.join(".git/index.lock"));
    fs::write(&head, "ref: refs/heads/main\n").expect("a file");
    let mut project = Project::in_folder(&root);
    project.follow_branches().expect("a repository");
    let cookies = Cookies::new(&root);
    let mut watch = Watch::new(&project, SettingsSaves::default(), Arc::default(), cookies)
        .expect("inotify is there");
    watch.set_inputs(&BTreeSet::from([root.join("app_lib")]), &Inputs::default());
    // As `git checkout` does: the files under a lock, the branch after them.
    fs::write(&lock, "").expect("a file");
    fs::write(root.join("app_lib/src/page.rs"), "new").expect("a file");
    let git = tokio::spawn(async move {
        tokio::time::sleep(10 * SETTLE).await;
        fs::remove_file(&lock).expect("a file");
        tokio::time::sleep(SETTLE).await;
        fs::write(&head, "ref: refs/heads/other\n").expect("a file");
    });
    let changes = saved(&mut watch).await;
    let both = [".git/HEAD", "app_lib/src/page.rs"].map(PathBuf::from);
    assert_eq!(changes, Changes::from(both));
    git.await.expect("it has ended");
}
