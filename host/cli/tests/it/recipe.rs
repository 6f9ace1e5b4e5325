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

/// What `main` does before and after it calls the function.
fn project(uses: &str, before: &str, call: &str) -> Repository {
    let main = format!(
        "{uses}\n#[tokio::main]\nasync fn main() -> anyhow::Result<()> {{\n{before}    serve({call}).await\n}}\n"
    );
    let dependencies = "anyhow = \"1\"\nsqlx = { version = \"0.9\", default-features = false, features = [\"postgres\"] }\n";
    Repository::new(&[
        ("Cargo.toml", &(manifest("shop") + dependencies)),
        ("src/lib.rs", LIBRARY),
        ("src/config.rs", ""),
        ("src/main.rs", &main),
    ])
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
fn what_only_the_binary_has_is_asked_for() {
    for (uses, before, call) in [
        // A function, a module and a parameter of its own, the command line, and words in a macro.
        (
            "fn state() {}",
            "    let state = state();\n",
            "shop::router(state, name)",
        ),
        (
            "mod settings;",
            "    let state = settings::state();\n",
            "shop::router(state, settings::NAME)",
        ),
        (
            "use shop::AppState;",
            "    let state = AppState::parse();\n",
            "shop::router(state, \"\".into())",
        ),
        (
            "const NAME: &str = \"\";",
            "    let state = made();\n",
            "shop::router(state, format!(\"{}\", NAME))",
        ),
        (
            "",
            "    let run = |state| serve(shop::router(state, String::new()));\n",
            "run",
        ),
        (
            "use unknown::state;",
            "    let state = state();\n",
            "shop::router(state, String::new())",
        ),
    ] {
        let shop = project(uses, before, call);
        let said = shop.init(&[]);
        let asked = "note: write the value of state: AppState, name: String in dev/app/src/lib.rs";
        assert!(said.contains(asked), "{uses}{before}{call}: {said}");
    }
}
