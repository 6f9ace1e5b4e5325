//! What `hot init` writes.

use host_cli::Console;

use crate::repository::{LIBRARY, Repository, checkout, manifest};

#[test]
fn a_single_package_gets_a_workspace_of_its_own() {
    let shop = Repository::of_one_package("shop");
    let text = shop.init(&[]);
    assert!(text.contains("`shop::router` (src/lib.rs:3)"), "{text}");
    assert!(text.contains("new     dev/app/src/lib.rs"), "{text}");
    assert!(text.contains("+/.dev/"), "{text}");

    let workspace = shop.toml("dev/Cargo.toml");
    let described = &workspace["workspace"]["metadata"]["host"];
    assert_eq!(described["app"].as_str(), Some("dev_app"));
    assert_eq!(described["root"].as_str(), Some(".."));
    let host = &workspace["workspace"]["dependencies"]["host"];
    assert_eq!(host["path"].as_str(), checkout().join("host").to_str());
    let profile = &workspace["profile"]["hot"]["package"]["shop"];
    assert_eq!(profile["debug"].as_str(), Some("line-tables-only"));

    let app = shop.toml("dev/app/Cargo.toml");
    assert_eq!(app["dependencies"]["shop"]["path"].as_str(), Some("../.."));
    let wrapper = shop.read("dev/app/src/lib.rs");
    assert!(wrapper.contains("shared::export_app!(app);"), "{wrapper}");
    assert!(wrapper.contains("    Ok(shop::router())\n"), "{wrapper}");

    let config = shop.toml(".cargo/config.toml");
    let dev = config["alias"]["dev"].as_array().unwrap();
    let words: Vec<&str> = dev.iter().filter_map(|word| word.as_str()).collect();
    assert_eq!(
        words.join(" "),
        "run --manifest-path dev/Cargo.toml --profile hot --bin dev -- dev --database none"
    );
    assert!(text.contains("talks to no database"), "{text}");
    assert_eq!(shop.read(".gitignore"), "/target\n/.dev/\n/dev/target/\n");
    shop.resolves("dev");
    shop.write(".dev/host.json", "{}");
    shop.resolves("");
}

#[test]
fn nothing_is_written_unless_somebody_agrees() {
    let shop = Repository::of_one_package("shop");
    shop.hot(&["init"]).refused("add --yes");
    assert_eq!(shop.status(), "");
}

#[test]
fn a_second_init_says_how_to_start_or_remove_it() {
    let shop = Repository::of_one_package("shop");
    shop.init(&[]);
    shop.hot_in("dev/app", &["init", "--yes"])
        .refused("is set up already");
}

#[test]
fn a_dev_folder_of_the_users_is_left_alone() {
    let shop = Repository::new(&[
        ("Cargo.toml", &manifest("shop")),
        ("src/lib.rs", LIBRARY),
        ("dev/notes.txt", "mine\n"),
    ]);
    shop.hot(&["init", "--yes"])
        .refused("is not the dev server's");
    assert_eq!(shop.status(), "");
}

#[test]
fn a_workspace_whose_members_are_globs_leaves_dev_out() {
    let package = |name: &str, more: &str| manifest(name) + more;
    let shop = Repository::new(&[
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"*\"] # all of it\nexclude = [\".git\", \"target\"]\n",
        ),
        ("domain/Cargo.toml", &package("domain", "")),
        ("domain/src/lib.rs", ""),
        ("domain/migrations/2025-01-01-000000_a/up.sql", "SELECT 1"),
        (
            "api/Cargo.toml",
            &package("api", "domain = { path = \"../domain\" }\n"),
        ),
        (
            "api/src/lib.rs",
            &LIBRARY
                .replace("router() ->", "router(pool: PgPool) -> ")
                .replace("use axum", "use sqlx::PgPool;\nuse axum"),
        ),
        (
            "server/Cargo.toml",
            &package("server", "api = { path = \"../api\" }\n"),
        ),
        ("server/src/main.rs", "fn main() {}\n"),
    ]);
    let ran = shop.hot_in("server", &["init", "--yes"]);
    assert!(ran.ok, "{}", ran.text);
    assert!(
        shop.read("Cargo.toml")
            .contains("members = [\"*\"] # all of it\nexclude = [\".git\", \"target\", \"dev\", \".dev\", \".cargo\"]\n")
    );
    let workspace = shop.toml("dev/Cargo.toml");
    let profile = workspace["profile"]["hot"]["package"].as_table().unwrap();
    assert!(profile.contains_key("api") && profile.contains_key("domain"));
    assert!(!profile.contains_key("server"), "it is not part of the app");
    let folder = workspace["workspace"]["metadata"]["host"]["migrations"].as_str();
    assert_eq!(folder, Some("domain/migrations"));
    let said = "(api/src/lib.rs:4), and apply the migrations in domain/migrations/.";
    assert!(ran.text.contains(said), "{}", ran.text);
    let app = shop.toml("dev/app/Cargo.toml");
    assert_eq!(
        app["dependencies"]["api"]["path"].as_str(),
        Some("../../api")
    );
    shop.resolves("dev");
    shop.write(".dev/host.json", "{}");
    shop.resolves("");
}

#[test]
fn names_of_the_users_crates_do_not_clash_with_ours() {
    let shop = Repository::new(&[
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"shared\", \"dev_app\", \"host\"]\n",
        ),
        (
            "shared/Cargo.toml",
            &(manifest("shared")
                + "host = { path = \"../host\" }\ndev_app = { path = \"../dev_app\" }\n"),
        ),
        ("shared/src/lib.rs", LIBRARY),
        ("dev_app/Cargo.toml", &manifest("dev_app")),
        ("dev_app/src/lib.rs", ""),
        ("host/Cargo.toml", &manifest("host")),
        ("host/src/lib.rs", ""),
    ]);
    shop.init(&["--git", "https://example.org/hot", "--rev", "0a1b2c"]);
    let workspace = shop.toml("dev/Cargo.toml");
    assert_eq!(
        workspace["workspace"]["metadata"]["host"]["app"].as_str(),
        Some("hot_dev_app")
    );
    let ours = &workspace["workspace"]["dependencies"]["hot_shared"];
    assert_eq!(ours["package"].as_str(), Some("shared"));
    assert_eq!(ours["git"].as_str(), Some("https://example.org/hot"));
    assert_eq!(ours["rev"].as_str(), Some("0a1b2c"));
    let app = shop.toml("dev/app/Cargo.toml");
    assert_eq!(app["package"]["name"].as_str(), Some("hot_dev_app"));
    assert_eq!(
        app["dependencies"]["shared"]["path"].as_str(),
        Some("../../shared")
    );
    assert_eq!(
        app["dependencies"]["hot_shared"]["workspace"].as_bool(),
        Some(true)
    );
    let wrapper = shop.read("dev/app/src/lib.rs");
    assert!(
        wrapper.contains("hot_shared::export_app!(app);")
            && wrapper.contains("Ok(shared::router())"),
        "{wrapper}"
    );
    shop.resolves("");

    // Two path crates of one name do not fit into a lock file, a path and a git repository do.
    assert!(shop.hot(&["init", "--undo", "--yes"]).ok);
    shop.init(&[]);
    let git = shop.toml("dev/Cargo.toml")["workspace"]["dependencies"]["host"]["git"].clone();
    let url = format!("file://{}", checkout().display());
    assert_eq!(git.as_str(), Some(url.as_str()));
}

#[test]
fn patches_and_versions_are_those_of_the_project() {
    let patch = "\n[patch.crates-io]\nuuid = { path = \"forks/uuid\" } # ours\n";
    let shop = Repository::new(&[
        ("Cargo.toml", &(manifest("shop") + "uuid = \"1\"\n" + patch)),
        ("src/lib.rs", LIBRARY),
        (
            "forks/uuid/Cargo.toml",
            "[package]\nname = \"uuid\"\nversion = \"1.99.0\"\n[features]\nserde = []\nv4 = []\nv7 = []\nstd = []\ndefault = [\"std\"]\n",
        ),
        ("forks/uuid/src/lib.rs", ""),
    ]);
    shop.resolves("");
    let lock = shop.read("Cargo.lock");
    shop.init(&[]);
    assert_eq!(shop.read("dev/Cargo.lock"), lock);
    let patches = &shop.toml("dev/Cargo.toml")["patch"]["crates-io"];
    assert_eq!(patches["uuid"]["path"].as_str(), Some("../forks/uuid"));
    assert!(patches["notify-debouncer-full"].is_inline_table());
    shop.resolves("dev");
    let resolved = shop.read("dev/Cargo.lock");
    assert!(resolved.contains("name = \"uuid\"\nversion = \"1.99.0\""));
    assert_eq!(shop.read("Cargo.lock"), lock);
}

#[test]
fn aliases_of_the_users_are_kept_and_one_that_is_taken_is_an_error() {
    let config = "[build]\r\njobs = 2\r\n\r\n[alias] # mine\r\nt = \"test\"\r\n";
    let files = |config: &str| {
        Repository::new(&[
            ("Cargo.toml", &manifest("shop")),
            ("src/lib.rs", LIBRARY),
            (".cargo/config.toml", config),
        ])
    };
    let shop = files(config);
    shop.init(&[]);
    let now = shop.read(".cargo/config.toml");
    assert!(
        now.starts_with(config) && !now.replace("\r\n", "").contains('\n'),
        "{now:?}"
    );
    assert!(shop.toml(".cargo/config.toml")["alias"]["host"].is_array());
    assert!(shop.hot(&["init", "--undo", "--yes"]).ok);
    assert_eq!(shop.status(), "");
    assert_eq!(shop.read(".cargo/config.toml"), config);

    let shop = files("[alias]\ndev = \"run --bin shop\"\n");
    shop.hot(&["init", "--yes"])
        .refused("alias `dev` already: \"run --bin shop\"");
    assert_eq!(shop.status(), "");
}

#[test]
fn what_the_function_takes_is_made_or_asked_for() {
    let library = "\
use axum::Router;
use shared::{AppState, Db};
use sqlx::PgPool;

pub struct Config;

pub async fn router(state: AppState, db: Db, pool: &PgPool, database_url: &str, config: Config) -> Result<Router, std::io::Error> {
    todo!()
}
";
    let shop = Repository::new(&[
        (
            "Cargo.toml",
            &(manifest("shop") + "sqlx = { version = \"0.8.1\", default-features = false }\n"),
        ),
        ("src/lib.rs", library),
        ("rust-toolchain.toml", "[toolchain]\nchannel = \"1.90\"\n"),
    ]);
    let text = shop.init(&[]);
    assert!(
        text.contains("note: write the value of config: Config in dev/app/src/lib.rs"),
        "{text}"
    );
    assert!(
        text.contains("note: rust-toolchain.toml asks for Rust 1.90"),
        "{text}"
    );
    let wrapper = shop.read("dev/app/src/lib.rs");
    let (_, body) = wrapper.split_once("async fn app(state: AppState)").unwrap();
    assert!(
        body.contains("let pool = sqlx::PgPool::connect_lazy(&std::env::var(\"DATABASE_URL\")?)?;"),
        "{body}"
    );
    assert!(body.contains("let config = todo!("), "{body}");
    assert!(body.ends_with("    Ok(shop::router(state.clone(), state.db.clone(), &pool, &database_url, config).await?)\n}\n"), "{body}");
    assert!(!shop.read(".cargo/config.toml").contains("none"));
    let app = shop.toml("dev/app/Cargo.toml");
    assert_eq!(
        app["dependencies"]["sqlx"]["version"].as_str(),
        Some("0.8.1")
    );
}

#[test]
fn of_several_functions_the_user_chooses_one() {
    let shop = Repository::new(&[
        ("Cargo.toml", &manifest("shop")),
        (
            "src/lib.rs",
            &LIBRARY.replace("pub fn router", "pub mod admin;\npub fn router"),
        ),
        ("src/admin.rs", LIBRARY),
    ]);
    let ran = shop.hot(&["init", "--yes"]);
    assert!(!ran.ok && ran.text.ends_with("\n  --package shop --function shop::router\n  --package shop --function shop::admin::router\n"), "{}", ran.text);
    shop.hot(&["init", "--yes", "--function", "shop::web"])
        .refused("no public function `shop::web`");
    shop.hot(&["init", "--yes", "--package", "store"])
        .refused("it has shop");

    let typed = |answers: &str| {
        let (mut out, mut answers) = (Vec::new(), answers.as_bytes());
        let mut console = Console::new(&mut out, Some(&mut answers));
        host_cli::run(&shop.path(""), ["hot", "init"], &mut console).unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = typed("3\n2\nn\n");
    assert!(
        text.contains("  2  shop::admin::router\n") && text.contains("A number from 1 to 2"),
        "{text}"
    );
    assert!(
        text.ends_with("Write? [Y/n] Nothing was written.\n"),
        "{text}"
    );
    assert_eq!(shop.status(), "");
    typed("2\n\n");
    assert!(
        shop.read("dev/app/src/lib.rs")
            .contains("Ok(shop::admin::router())")
    );
}
