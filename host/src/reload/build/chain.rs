//! The crates that rustc can compile without cargo: the app, and the path packages that only the app is built from.
//!
//! A chain is in the order in which its crates must be compiled. Crates that the host contains too are not in it, nor
//! are procedural macros and what build scripts use: cargo must compile those.

use std::path::Path;

use super::invocation::Invocation;

/// Commands by crate, dependencies first. The app is last.
pub(super) struct Chain(pub(super) Vec<Invocation>);

impl Chain {
    /// From all known `commands` for path packages, oldest first. `None` if the app's is not among them.
    pub(super) fn new(app: &str, commands: &[Invocation]) -> Option<Self> {
        let app = commands
            .iter()
            .rfind(|one| one.crate_name() == app && one.has_crate_type("cdylib"))?;
        let mut chain: Vec<&Invocation> = commands
            .iter()
            .filter(|one| one.has_crate_type("lib") || one.has_crate_type("rlib"))
            .filter(|one| !std::ptr::eq(*one, app))
            .collect();
        // Leave out what anything outside the chain depends on, until nothing of that kind is left.
        loop {
            let is_inside = |one: &Invocation| {
                chain.iter().any(|it| std::ptr::eq(*it, one)) || std::ptr::eq(one, app)
            };
            let (stays, goes): (Vec<_>, Vec<_>) = chain.iter().partition(|one| {
                let stem = one.stem();
                let mut dependents = commands.iter().filter(|it| it.depends_on(&stem)).peekable();
                dependents.peek().is_some() && dependents.all(is_inside)
            });
            chain = stays;
            if goes.is_empty() {
                break;
            }
        }
        let mut left: Vec<&Invocation> = chain.into_iter().chain([app]).collect();
        let mut ordered = Vec::new();
        while !left.is_empty() {
            let is_ready = |one: &&Invocation| !left.iter().any(|it| one.depends_on(&it.stem()));
            let at = left.iter().position(is_ready)?; // there is always one: crates do not form circles
            ordered.push(left.remove(at).clone());
        }
        Some(Self(ordered))
    }

    /// The same commands with all output in `folder`, where they also read each other's.
    pub(super) fn moved_to(&self, folder: &Path) -> Self {
        let stems: Vec<String> = self.0.iter().map(Invocation::stem).collect();
        let moved = self.0.iter().map(|one| one.moved_to(folder, &stems));
        Self(moved.collect())
    }

    pub(super) fn app(&self) -> &Invocation {
        self.0.last().expect("the app is in it")
    }

    /// The indices of the crates to compile after these have changed: themselves, and what depends on them.
    pub(super) fn affected(&self, changed: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut affected: Vec<usize> = Vec::new();
        for (at, one) in self.0.iter().enumerate() {
            if changed(at)
                || affected
                    .iter()
                    .any(|it| one.depends_on(&self.0[*it].stem()))
            {
                affected.push(at);
            }
        }
        affected
    }
}

/// Adds commands of a later build: each replaces the one for the same crate.
pub(super) fn remember(commands: &mut Vec<Invocation>, new: impl Iterator<Item = Invocation>) {
    for one in new {
        let is_same = |it: &Invocation| it.stem() == one.stem() && it.out_dir() == one.out_dir();
        commands.retain(|it| !is_same(it));
        commands.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Vec<Invocation> {
        let lines: String = [
            "--crate-name words --crate-type lib -C extra-filename=-1",
            "--crate-name made --crate-type proc-macro -C extra-filename=-2 --extern words=/t/deps/libwords-1.rlib",
            "--crate-name shared --crate-type lib -C extra-filename=-3",
            "--crate-name shared_dylib --crate-type dylib -C extra-filename=-4 --extern shared=/t/deps/libshared-3.rlib",
            "--crate-name domain --crate-type lib -C extra-filename=-5 --extern shared=/t/deps/libshared-3.rmeta",
            "--crate-name shop --crate-type lib -C extra-filename=-6 --extern domain=/t/deps/libdomain-5.rmeta \
             --extern made=/t/deps/libmade-2.so",
            "--crate-name serde --cap-lints warn --crate-type lib -C extra-filename=-7",
            "--crate-name dev_app --crate-type cdylib --extern shop=/t/deps/libshop-6.rlib",
        ]
        .iter()
        .map(|words| format!("     Running `CARGO_MANIFEST_DIR=/p rustc {words} --out-dir /t/deps`\n"))
        .collect();
        Invocation::all_in(&lines).collect()
    }

    fn names(chain: &Chain) -> Vec<&str> {
        chain.0.iter().map(Invocation::crate_name).collect()
    }

    #[test]
    fn only_crates_that_nothing_but_the_app_is_built_from_are_in_it() {
        let mut commands = commands();
        let chain = Chain::new("dev_app", &commands).expect("the app was compiled");
        assert_eq!(names(&chain), ["domain", "shop", "dev_app"]);
        assert_eq!(chain.affected(|at| at == 0), [0, 1, 2]);
        assert_eq!(chain.affected(|at| at == 1), [1, 2]);
        commands.reverse();
        let chain = Chain::new("dev_app", &commands).expect("the app was compiled");
        assert_eq!(names(&chain), ["domain", "shop", "dev_app"]);
        assert!(Chain::new("other", &commands).is_none());
    }

    #[test]
    fn its_crates_are_read_where_they_are_written() {
        let chain = Chain::new("dev_app", &commands()).expect("the app was compiled");
        let chain = chain.moved_to("/t/replay".as_ref());
        let moved = &chain.0[1];
        let read: Vec<_> = moved
            .extern_paths()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(
            read,
            ["/t/replay/libdomain-5.rmeta", "/t/deps/libmade-2.so"]
        );
        assert_eq!(moved.out_dir(), Some("/t/replay/".as_ref()));
    }

    #[test]
    fn a_later_command_replaces_the_one_for_the_same_crate() {
        let mut known = commands();
        let count = known.len();
        let again = known[3].clone();
        remember(&mut known, [again.clone()].into_iter());
        assert_eq!((known.len(), known.last()), (count, Some(&again)));
    }
}
