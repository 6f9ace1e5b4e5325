//! Libraries as users write them, and the functions that are found in them.

use std::{fs, path::Path};

use super::*;

/// Writes a crate and finds its functions. The first file is its root.
fn found(files: &[(&str, &str)]) -> Vec<Function> {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    find(&Module::read(&folder.path().join(files[0].0)).unwrap())
}

fn paths(files: &[(&str, &str)]) -> Vec<String> {
    let found = found(files);
    found.into_iter().map(|function| function.path).collect()
}

#[test]
fn a_function_is_public_and_returns_a_router_with_its_state() {
    let library = "
        use axum::Router;
        pub async fn app() -> Router { todo!() }
        pub fn unit() -> axum::Router<()> { todo!() }
        pub fn fallible() -> anyhow::Result<Router> { todo!() }
        pub fn both() -> Result<Router, Box<dyn std::error::Error>> { todo!() }
        pub fn stateful() -> Router<AppState> { todo!() }
        pub fn generic<S>() -> Router<S> { todo!() }
        pub(crate) fn hidden() -> Router { todo!() }
        fn private() -> Router { todo!() }
        pub fn other() -> String { todo!() }
        #[cfg(test)]
        mod tests { pub fn router() -> super::Router { todo!() } }
    ";
    let found = found(&[("lib.rs", library)]);
    let of = |name: &str| found.iter().find(|function| function.path == name).unwrap();
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(of("app").is_async && !of("app").is_fallible);
    assert!(of("fallible").is_fallible && of("both").is_fallible);
    assert_eq!(of("unit").line, 4);
}

#[test]
fn modules_in_files_are_followed_and_private_ones_only_where_they_are_passed_on() {
    let router = "use axum::Router; pub fn router() -> Router { todo!() }";
    assert_eq!(
        paths(&[
            (
                "lib.rs",
                "pub mod web; mod hidden; mod passed; pub use passed::inner::router as app;
                 #[path = \"elsewhere.rs\"] pub mod named; pub mod inline { pub mod deep; } mod all; pub use all::*;"
            ),
            ("web/mod.rs", "pub mod routes;"),
            ("web/routes.rs", router),
            ("hidden.rs", router),
            ("passed.rs", "pub mod inner;"),
            ("passed/inner.rs", router),
            ("elsewhere.rs", router),
            ("inline/deep.rs", router),
            ("all.rs", &router.replace("router()", "every()")),
        ]),
        ["app", "every", "named::router", "inline::deep::router", "web::routes::router"]
    );
}

#[test]
fn the_shortest_of_several_paths_is_taken() {
    let files = [
        ("lib.rs", "pub mod routes; pub use self::routes::router;"),
        ("routes.rs", "pub fn router() -> axum::Router { todo!() }"),
    ];
    assert_eq!(paths(&files), ["router"]);
    let circle = "pub mod a { pub use crate::a; pub fn f() -> axum::Router { todo!() } }";
    assert_eq!(paths(&[("lib.rs", circle)]), ["a::f"]);
}

#[test]
fn parameters_are_known_by_their_full_types() {
    let library = "
        use shared::{AppState as State, routing::Router};
        use sqlx::PgPool;
        pub fn app(state: State, pool: &PgPool, (a, b): (u8, u8), config: Arc<Config>) -> Router { todo!() }
    ";
    let [function] = &found(&[("lib.rs", library)])[..] else {
        panic!("one function");
    };
    assert!(function.is_ours);
    let shown: Vec<String> = function
        .parameters
        .iter()
        .map(|one| {
            let by = if one.by_reference { "&" } else { "" };
            format!("{}: {by}{} = {}", one.name, one.shown, one.path.join("::"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "state: State = shared::AppState",
            "pool: &PgPool = sqlx::PgPool",
            "value2: (u8, u8) = ",
            "config: Arc<Config> = Arc",
        ]
    );
}

#[test]
fn a_file_that_is_not_rust_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lib.rs");
    fs::write(&file, "fn a() {}\nfn b( {}\n").unwrap();
    let Err(failure) = Module::read(Path::new(&file)) else {
        panic!("it does not parse");
    };
    assert!(failure.to_string().contains("lib.rs:2: "), "{failure}");
}
