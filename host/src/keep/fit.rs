//! Whether the name of a type names only types that mean the same to all generations; if not, what to do.

use super::crates::Linked;

/// std's own, which are in the dylib too.
const STD: [&str; 3] = ["alloc", "core", "std"];

/// Types that carry others out of sight, and give them back to code that knows them by a `TypeId`. So do errors, and the
/// values and environments of [`TEMPLATES`].
const CARRIERS: [&str; 12] = [
    "axum::routing::Router",
    "axum::routing::method_routing::MethodRouter",
    "axum::routing::route::Route",
    "axum_core::body::Body",
    "core::any::Any",
    "http::extensions::Extensions",
    "http::request::Builder",
    "http::request::Parts",
    "http::request::Request",
    "http::response::Builder",
    "http::response::Parts",
    "http::response::Response",
];

/// Its `Value` holds any object, and all else of it holds values.
const TEMPLATES: &str = "minijinja";

/// Why a value of the type with this name must not be kept, if so.
///
/// Code of an earlier generation is no reason: it stays mapped for the life of the process, and so are trait objects,
/// closures and function pointers whose types name nothing of the app.
pub(super) fn unfit(type_name: &str, crates: &Linked) -> Option<String> {
    paths(type_name).find_map(|path| {
        let (of, _) = path.split_once("::")?;
        if crates.ambiguous.contains(of) {
            return Some(format!(
                "the app links two versions of `{of}`, and generations share only one, which a type's name does not tell. Have the app depend on that one alone"
            ));
        }
        if STD.contains(&of) || crates.shared.contains(of) {
            let carries = of == TEMPLATES || CARRIERS.contains(&path) || path.ends_with("Error");
            return carries.then(|| {
                format!(
                    "{path} can hold a value of any type, and so one of the app, which the next build may lay out differently. Keep a type that says what it holds, and of an error its text"
                )
            });
        }
        Some(match crates.fixed.contains(of) {
            true => format!(
                "each generation has its own copy of `{of}` and of its statics. {}",
                sharing(of, crates)
            ),
            false => format!(
                "{path} may be laid out differently by the next build. Keep what is made of std's types and of those in crates that all generations share, such as tokio's; or move the type to another crate, and share that. {}",
                sharing("that_crate", crates)
            ),
        })
    })
}

/// How all generations come to share a crate.
fn sharing(of: &str, crates: &Linked) -> String {
    let (whose, folder) = match &crates.folder {
        Some(folder) => ("", folder.as_str()),
        None => (
            ", in a checkout of the dev server that `hot init --path` has put into this project",
            "shared",
        ),
    };
    format!(
        "To share `{of}`, add it to {folder}/Cargo.toml and `use {of} as _;` to {folder}/src/lib.rs{whose}"
    )
}

/// The paths in the name, such as `alloc::vec::Vec` and `i32` in `alloc::vec::Vec<i32>`.
fn paths(type_name: &str) -> impl Iterator<Item = &str> {
    type_name
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '#')))
        // What follows a bracket, as in `of<T>::{{closure}}`, is no start of a path.
        .filter(|path| !path.is_empty() && !path.starts_with(':'))
        .map(|path| path.trim_end_matches(':'))
}

#[cfg(test)]
mod tests {
    use std::{any::type_name, collections::HashMap, sync::Mutex};

    use super::*;

    struct Own;

    /// As if this crate were the app's, and all that its types need here in the dylib, but for `bytes` and `slab`.
    fn unfit_of<T: ?Sized>() -> Option<String> {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let crates = Linked {
            shared: set(&["axum", "axum_core", "http", "serde_json", "slab", "tokio"]),
            ambiguous: set(&["slab"]),
            fixed: set(&["bytes", "slab"]),
            folder: Some("shared".to_owned()),
        };
        unfit(type_name::<T>(), &crates)
    }

    type Queue<T> = tokio::sync::mpsc::Sender<HashMap<String, (Vec<T>, [u8; 4])>>;

    #[test]
    fn a_type_is_kept_if_all_in_it_is_shared() {
        assert_eq!(unfit_of::<Queue<serde_json::Value>>(), None);
        assert_eq!(unfit_of::<fn(&str) -> Option<&'static [i32]>>(), None);
        assert_eq!(unfit_of::<Box<dyn Fn(String) -> u8 + Send + Sync>>(), None);
        assert_eq!(unfit_of::<Mutex<tokio::task::JoinSet<()>>>(), None);

        fn name_of<T>(_: &T) -> &'static str {
            type_name::<T>()
        }
        let closure = || Own;
        let of_value = |_: &dyn Fn() -> Own| ();
        of_value(&closure);
        let own = [
            unfit_of::<Own>(),
            unfit_of::<Queue<Option<&'static Own>>>(),
            unfit_of::<fn(u8) -> Own>(),
            unfit_of::<dyn Iterator<Item = Own>>(),
            unfit(name_of(&closure), &Linked::default()),
        ];
        for reason in own {
            let reason = reason.expect("it is of this crate");
            let (path, rest) = reason.split_once(' ').expect("words");
            assert!(path.starts_with("host::keep::fit::tests::"), "{reason}");
            assert!(rest.starts_with("may be laid out differently by the next build. "));
        }
    }

    #[test]
    fn what_to_do_depends_on_where_the_crate_comes_from() {
        let reason = unfit_of::<Queue<bytes::Bytes>>().expect("each generation has a copy");
        let remedy = "To share `bytes`, add it to shared/Cargo.toml and `use bytes as _;` to shared/src/lib.rs";
        assert!(reason.ends_with(remedy), "{reason}");
        let reason = unfit_of::<slab::Slab<u8>>().expect("which one?");
        assert!(reason.starts_with("the app links two versions of `slab`"));
        let elsewhere = unfit("own::Own", &Linked::default()).expect("it is not shared");
        assert!(elsewhere.ends_with("`hot init --path` has put into this project"));
    }

    #[test]
    fn what_can_be_turned_back_into_a_type_of_the_app_is_not_kept() {
        let templates = Linked {
            shared: [TEMPLATES.to_owned()].into(),
            ..Linked::default()
        };
        for reason in [
            unfit_of::<Vec<Box<dyn std::any::Any + Send>>>(),
            unfit_of::<Result<u8, Box<dyn std::error::Error>>>(),
            unfit_of::<Option<std::io::Error>>(),
            unfit_of::<axum::extract::Request>(),
            unfit_of::<Mutex<axum::response::Response>>(),
            unfit_of::<axum::http::Extensions>(),
            unfit_of::<axum::Router<u8>>(),
            unfit_of::<axum::routing::MethodRouter>(),
            unfit_of::<Mutex<axum::body::Body>>(),
            unfit("alloc::vec::Vec<minijinja::value::Value>", &templates),
        ] {
            let reason = reason.expect("it may hold anything");
            assert!(reason.contains(" can hold a value of any type"), "{reason}");
        }
    }
}
