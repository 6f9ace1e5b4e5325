//! What `hot init --check` says, and what `hot init` says of an app that is only a binary.

use crate::repository::{LIBRARY, Repository, manifest};

#[test]
fn what_the_router_function_must_not_do_is_found_through_what_it_calls() {
    let library = "\
use axum::Router;
use tracing_subscriber::{fmt, prelude::*};

mod server;

pub async fn app() -> Router {
    telemetry();
    server::Server::listen().await;
    Router::new()
}

fn telemetry() {
    tracing_subscriber::registry()
        .with(fmt::layer())
        .init();
}

/// Not called by `app`.
pub async fn run() {
    let listener = tokio::net::TcpListener::bind(\"0.0.0.0:80\").await.unwrap();
    axum::serve(listener, app().await).await.unwrap();
}
";
    let server = "\
use tokio::net::TcpListener;

static POOL: std::sync::LazyLock<sqlx::PgPool> = std::sync::LazyLock::new(|| todo!());

pub struct Server;

impl Server {
    pub async fn listen() {
        TcpListener::bind(\"127.0.0.1:0\").await.unwrap();
    }
}
";
    let main = "\
#[tokio::main]
async fn main() {
    tokio::spawn(async {});
    migration::Migrator::up(&db, None).await.unwrap();
    let app = shop::app().await.layer(());
    tracing_subscriber::fmt::init();
    axum::serve(todo!(), app).await.unwrap();
}
";
    let shop = Repository::new(&[
        ("Cargo.toml", &manifest("shop")),
        ("src/lib.rs", library),
        ("src/server.rs", server),
        ("src/main.rs", main),
    ]);
    let ran = shop.hot(&["init", "--check"]);
    assert!(!ran.ok);
    let places: Vec<&str> = ran
        .text
        .lines()
        .filter(|line| line.contains(".rs:"))
        .collect();
    assert_eq!(
        places,
        [
            "src/server.rs:9: `tokio::net::TcpListener::bind()` in `listen` (must change)",
            "src/lib.rs:15: `.init()` in `telemetry` (to know)",
            "src/server.rs:3: `static POOL: std::sync::LazyLock<sqlx::PgPool>` (to know)",
            "src/main.rs:3: `tokio::spawn()` (to know)",
            "src/main.rs:4: `migration::Migrator::up()` (to know)",
            "src/main.rs:5: `.layer()` (to know)",
        ]
    );
    assert!(
        ran.text.ends_with("1 must change first; 5 to know.\n"),
        "{}",
        ran.text
    );
    assert_eq!(shop.status(), "");
    let text = shop.init(&[]);
    assert!(
        text.contains("names a thing in your code that must change"),
        "{text}"
    );
}

#[test]
fn an_app_that_reloads_has_nothing_to_change() {
    let shop = Repository::of_one_package("shop");
    let ran = shop.hot(&["init", "--check"]);
    assert!(ran.ok, "{}", ran.text);
    assert_eq!(ran.text, "Nothing keeps this app from reloading.\n");
}

#[test]
fn an_older_axum_comes_first() {
    let shop = Repository::new(&[
        ("Cargo.toml", &manifest("shop").replace("0.8", "0.7")),
        ("src/lib.rs", LIBRARY),
    ]);
    shop.hot(&["init", "--check"])
        .refused("Cargo.toml: axum ^0.7 (must change)");
    shop.hot(&["init", "--yes"]).refused("update axum first");
    assert_eq!(shop.status(), "");
}

#[test]
fn a_binary_is_told_what_to_move() {
    let main = "\
use axum::{Router, routing::get};

mod db;
mod routes;

#[derive(Clone)]
struct AppState {
    pool: u8,
}

#[tokio::main]
async fn main() {
    let pool = db::connect().await;
    let app = Router::new()
        .route(\"/\", get(routes::home))
        .with_state(pool);
    let listener = tokio::net::TcpListener::bind(\"127.0.0.1:3000\").await.unwrap();
    axum::serve(listener, app).await.unwrap();
}
";
    let files = |main: &str| {
        Repository::new(&[
            ("Cargo.toml", &manifest("my-shop")),
            ("src/main.rs", main),
            ("src/db.rs", "pub async fn connect() {}\n"),
            ("src/routes.rs", "pub async fn home() {}\n"),
        ])
    };
    let shop = files(main);
    let ran = shop.hot(&["init", "--yes"]);
    assert!(!ran.ok, "{}", ran.text);
    assert!(ran.text.starts_with(
        "error: `my-shop` is only a binary, and the dev server loads a library. Move what builds the router into one:

  1. Move these lines to a new file src/lib.rs:
       src/main.rs:3  mod db;
       src/main.rs:4  mod routes;
       src/main.rs:6-9  struct AppState
  2. Make a function `pub fn router() -> axum::Router` in src/lib.rs of `let app = …` (src/main.rs:14-16), and pass in what it uses
  3. In src/main.rs, call `my_shop::router()` and serve what it returns
"
    ), "{}", ran.text);
    assert_eq!(shop.status(), "");

    let of_its_own = main.replace(
        "#[tokio::main]",
        "fn build() -> Router {\n    Router::new()\n}\n\n#[tokio::main]",
    );
    let ran = files(&of_its_own.replace("let app = Router::new()", "let app = build()"))
        .hot(&["init", "--check"]);
    assert!(
        !ran.ok
            && ran.text.contains(
                "2. Move `fn build` (src/main.rs:11-13) to src/lib.rs, and make it `pub`"
            ),
        "{}",
        ran.text
    );
}

#[test]
fn a_function_that_nearly_does_is_named() {
    let said = |library: &str| {
        let shop = Repository::new(&[("Cargo.toml", &manifest("shop")), ("src/lib.rs", library)]);
        let ran = shop.hot(&["init", "--yes"]);
        assert!(!ran.ok);
        ran.text
    };
    let private = LIBRARY.replace("pub fn", "fn");
    assert!(said(&private).contains("`router` (src/lib.rs:3) comes closest: make it `pub`"));
    let stateful = LIBRARY.replace("-> Router", "-> Router<u8>");
    assert!(said(&stateful).contains("`.with_state(…)`"));
    let hidden = format!("mod web {{ {LIBRARY} }}");
    assert!(said(&hidden).contains("make its module public"));
    assert!(said("").contains("write one, for example"));
}
