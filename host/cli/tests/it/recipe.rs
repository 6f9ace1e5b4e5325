//! `hot init` copies how the user's binary makes what the function takes, and asks where it cannot.

use crate::repository::{Repository, manifest};

const LIBRARY: &str = "\
use axum::Router;

pub mod config;

#[derive(Clone)]
pub struct AppState;

pub fn router(state: AppState, name: String) -> Router {
    todo!()
}
";

/// Dependencies of the binary: of the registry, one more under another name, and one of the project's.
const DEPENDENCIES: &str = "\
anyhow = \"1\"
old = { package = \"sqlx\", version = \"0.7\" }
sqlx = { version = \"0.9\", default-features = false, features = [\"postgres\"] }
tower-http = \"0.6\"
own = { path = \"own\" }
";

/// A binary whose `main` makes something and calls the function. `uses` holds its other items, too.
fn project(uses: &str, before: &str, call: &str) -> Repository {
    with_main(&format!(
        "{uses}\n#[tokio::main]\nasync fn main() -> anyhow::Result<()> {{\n{before}    serve({call}).await\n}}\n"
    ))
}

fn with_main(main: &str) -> Repository {
    Repository::new(&[
        ("Cargo.toml", &(manifest("shop") + DEPENDENCIES)),
        ("src/lib.rs", LIBRARY),
        ("src/config.rs", ""),
        ("src/main.rs", main),
        ("own/Cargo.toml", &manifest("own")),
        ("own/src/lib.rs", ""),
    ])
}

/// What the wrapper of a project does, without the line that says where it is from.
fn body(shop: &Repository) -> String {
    let said = shop.init(&[]);
    let wrapper = shop.read("dev/app/src/lib.rs");
    let (_, body) = wrapper.split_once("Result<Router, BoxError> {\n").unwrap();
    let (place, body) = body.split_once('\n').unwrap();
    assert!(place.starts_with("    // As in "), "{said}{wrapper}");
    body.strip_suffix("}\n").unwrap().to_owned()
}

#[test]
fn the_statements_before_the_call_are_copied_with_what_they_name() {
    let shop = project(
        "\
use anyhow::Context;
use shop::{config::Config, AppState};
use sqlx::postgres::PgPoolOptions as Options;
use tracing_subscriber::util::SubscriberInitExt;
",
        "    tracing_subscriber::registry().init();
    let mut config = Config::from_env()?;
    config.port = 3000;
    let other = 1;
    let pool = Options::new()
        .connect(&config.url)
        .await
        .context(\"größer\")?;
    sqlx::migrate!().run(&pool).await?;
    shop::config::seed(&pool).await?;
    tokio::spawn(work(pool.clone(), other));
    let state = AppState::new(pool, config);
",
        "shop::router(state.clone(), format!(\"{}\", state.name))",
    );
    let said = shop.init(&[]);
    assert!(
        said.contains(
            "note: dev/app/src/lib.rs makes what the function takes as src/main.rs:9-20 does"
        ),
        "{said}"
    );
    let wrapper = shop.read("dev/app/src/lib.rs");
    let (_, body) = wrapper.split_once("Result<Router, BoxError> {\n").unwrap();
    assert_eq!(
        body,
        "    // As in src/main.rs:9-20; a pool is one per generation, and ends with it.
    #[allow(unused_imports)] // a trait, in scope there
    use anyhow::Context as _;
    let mut config = shop::config::Config::from_env()?;
    config.port = 3000;
    let pool = sqlx::postgres::PgPoolOptions::new()
        .connect(&config.url)
        .await
        .context(\"größer\")?;
    shop::config::seed(&pool).await?;
    let state = shop::AppState::new(pool, config);
    Ok(shop::router(state.clone(), format!(\"{}\", state.name)))
}
"
    );
    let dependencies = &shop.toml("dev/app/Cargo.toml")["dependencies"];
    assert_eq!(dependencies["anyhow"]["version"].as_str(), Some("1"));
    let sqlx = &dependencies["sqlx"];
    assert_eq!(sqlx["default-features"].as_bool(), Some(false));
    assert_eq!(sqlx["features"][0].as_str(), Some("postgres"));
    assert!(
        !shop
            .hot(&["init", "--undo", "--yes"])
            .text
            .contains("error")
    );
    assert_eq!(shop.status(), "");
}

#[test]
fn each_part_of_a_statement_counts() {
    for (uses, before, call, expected) in [
        // Variables in macros, named as a word or in the text; std; the prelude; a crate with a dash.
        (
            "use std::env::var;",
            "    let host = var(\"HOST\")?;\n    let port = String::from(\"1\");\n    let state = tower_http::state();\n    let other = 1;\n",
            "shop::router(state, format!(\"{port} {}\", host))",
            "    let host = std::env::var(\"HOST\")?;\n    let port = String::from(\"1\");\n    let state = tower_http::state();\n",
        ),
        // A call on a variable changes it; one that takes it away does not make it.
        (
            "",
            "    let state = Vec::new();\n    state.push(1);\n    drop(state);\n    watch(state.clone());\n",
            "shop::router(state, String::new())",
            "    let state = Vec::new();\n    state.push(1);\n",
        ),
        // Types in types, names in patterns, the path of a macro.
        (
            "use shop::config::Config;\nuse sqlx::query;",
            "    let whole @ (state, _) = shop::config::pair(Vec::<Config>::new(), query!());\n",
            "shop::router(state, String::new())",
            "    let whole @ (state, _) = shop::config::pair(Vec::<shop::config::Config>::new(), sqlx::query!());\n",
        ),
        (
            "",
            "    let whole @ Some(state) = Some(1);\n",
            "shop::router(state, String::new())",
            "    let whole @ Some(state) = Some(1);\n",
        ),
        // What parses a text is not the command line.
        (
            "",
            "    let state = shop::config::Config::parse(\"a\");\n",
            "shop::router(state, String::new())",
            "    let state = shop::config::Config::parse(\"a\");\n",
        ),
        // Traits only: not a function, and not what a macro elsewhere names.
        (
            "use anyhow::{Context as _, bail};\nuse std::time::Duration;\nfn log() { println!(\"{:?}\", Duration::ZERO) }",
            "    let state = 1;\n",
            "shop::router(state, String::new())",
            "    #[allow(unused_imports)] // a trait, in scope there\n    use anyhow::Context as _;\n    let state = 1;\n",
        ),
    ] {
        let (_, arguments) = call.split_once('(').unwrap();
        let shop = project(uses, before, call);
        let expected = format!("{expected}    Ok(shop::router({arguments})\n");
        assert_eq!(body(&shop), expected);
    }
}

#[test]
fn the_first_call_that_can_be_copied_counts() {
    let call = |state: &str| format!("serve(shop::router({state}, String::new())).await;\n");
    // Not one of another function of this name, nor one that nothing can be copied of.
    let main = format!(
        "fn own() {{}}\nfn first() {{ {} }}\nasync fn main() {{\n    let state = 0;\n    own::router(1, 2);\n    {{\n        let state = 1;\n        {}        state.close();\n        {}    }}\n}}\n",
        call("own()"),
        call("state"),
        call("2"),
    );
    let expected = "    let state = 1;\n    Ok(shop::router(state, String::new()))\n";
    assert_eq!(body(&with_main(&main)), expected);

    // In a binary of another package.
    let server = manifest("server") + "shop = { path = \"..\" }\n";
    let workspace = format!(
        "[workspace]\nmembers = [\"server\"]\n\n{}",
        manifest("shop")
    );
    let main = format!(
        "async fn main() {{\n    let state = 1;\n    {}}}\n",
        call("state")
    );
    let shop = Repository::new(&[
        ("Cargo.toml", &workspace),
        ("src/lib.rs", LIBRARY),
        ("src/config.rs", ""),
        ("server/Cargo.toml", &server),
        ("server/src/main.rs", &main),
    ]);
    assert_eq!(body(&shop), expected);
}

/// Each has one reason alone.
#[test]
fn what_only_the_binary_has_is_asked_for() {
    let literal = "shop::router(1, String::new())";
    let used = |name: &str| format!("shop::router(1, format!(\"{{}}\", ({name})))");
    let mut cases = vec![
        // The command line.
        (
            "",
            "    let state = shop::config::parse();\n",
            "shop::router(state, String::new())".to_owned(),
        ),
        (
            "",
            "",
            "shop::router(std::env::args(), String::new())".to_owned(),
        ),
        // A parameter; a word in a macro that the wrapper cannot put in full; crates of nobody's and of the project's.
        (
            "",
            "    let run = |state| serve(shop::router(state, String::new()));\n",
            "run".to_owned(),
        ),
        ("use shop::config::NAME;", "", used("NAME")),
        (
            "",
            "",
            "shop::router(unknown::state(), String::new())".to_owned(),
        ),
        (
            "",
            "",
            "shop::router(own::state(), String::new())".to_owned(),
        ),
        ("use own::Extension;", "", literal.to_owned()),
    ];
    // Items of its own.
    for (item, call) in [
        (
            "fn made() {}",
            "shop::router(made(), String::new())".to_owned(),
        ),
        (
            "macro_rules! made { () => {} }",
            "shop::router(made!(), String::new())".to_owned(),
        ),
        ("mod made {}", used("made::NAME")),
        ("const MADE: u8 = 1;", used("MADE")),
        ("static MADE: u8 = 1;", used("MADE")),
        (
            "struct Made;",
            "shop::router(Made::new(), String::new())".to_owned(),
        ),
        (
            "enum Made {}",
            "shop::router(Made::new(), String::new())".to_owned(),
        ),
        (
            "type Made = u8;",
            "shop::router(Made::new(), String::new())".to_owned(),
        ),
        (
            "trait Made {}",
            "shop::router(Made::new(), String::new())".to_owned(),
        ),
    ] {
        cases.push((item, "", call));
    }
    for (uses, before, call) in cases {
        let said = project(uses, before, &call).init(&[]);
        let asked = "note: write the value of state: AppState, name: String in dev/app/src/lib.rs";
        assert!(said.contains(asked), "{uses}{before}{call}: {said}");
    }
    // Without any of these nothing is asked for.
    assert_eq!(
        body(&project("", "", literal)),
        "    Ok(shop::router(1, String::new()))\n"
    );
}
