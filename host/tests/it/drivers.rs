//! Drivers that know nothing of the dev server: an app makes a pool with each of them, as it does in production.
//!
//! `SAVES=100` saves as often as a long day.

use std::{
    collections::BTreeSet,
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use crate::support::{Foreign, Host, client, eventually, give_back, manifest};

const APP: &str = r#"
use axum::{Router, routing::get};

mod with_diesel;
mod with_sea_orm;
mod with_sqlx;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a request is answered with.
pub const WORD: &str = "word 0";

pub async fn router() -> Result<Router, Error> {
    let url = std::env::var("DATABASE_URL")?;
    Ok(Router::new()
        .route("/", get(async || WORD))
        .nest("/sqlx", with_sqlx::router(&url).await?)
        .nest("/sea_orm", with_sea_orm::router(&url).await?)
        .nest("/diesel", with_diesel::router(&url)?))
}

/// What a handler answers: it ends with the backend's PID.
fn answer(of: Result<i32, Error>) -> Result<String, String> {
    of.map(|pid| format!("{WORD} {pid}")).map_err(|error| error.to_string())
}
"#;

const WITH_SQLX: &str = r#"
use axum::{Router, extract::State, routing::get};
use sqlx::{PgPool, postgres::PgPoolOptions};

pub async fn router(url: &str) -> Result<Router, crate::Error> {
    let pool = PgPoolOptions::new().max_connections(5).connect(url).await?;
    Ok(Router::new().route("/", get(increment)).with_state(pool))
}

async fn increment(State(pool): State<PgPool>) -> Result<String, String> {
    crate::answer(async {
        let mut transaction = pool.begin().await?;
        sqlx::query("UPDATE counter SET value = value + 1 WHERE driver = $1").bind("sqlx").execute(&mut *transaction).await?;
        let pid = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(pid)
    }.await)
}
"#;

const WITH_SEA_ORM: &str = r#"
use axum::{Router, extract::State, routing::get};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, TransactionTrait, entity::prelude::*, sea_query::{Expr, ExprTrait}};

mod counter {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "counter")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub driver: String,
        pub value: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub async fn router(url: &str) -> Result<Router, crate::Error> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(5);
    let db = Database::connect(options).await?;
    Ok(Router::new().route("/", get(increment)).with_state(db))
}

async fn increment(State(db): State<DatabaseConnection>) -> Result<String, String> {
    crate::answer(async {
        let transaction = db.begin().await?;
        counter::Entity::update_many()
            .col_expr(counter::Column::Value, Expr::col(counter::Column::Value).add(1))
            .filter(counter::Column::Driver.eq("sea_orm"))
            .exec(&transaction)
            .await?;
        let sql = Statement::from_string(transaction.get_database_backend(), "SELECT pg_backend_pid()");
        let row = transaction.query_one_raw(sql).await?.ok_or("no row")?;
        transaction.commit().await?;
        Ok(row.try_get_by_index(0)?)
    }.await)
}
"#;

const WITH_DIESEL: &str = r#"
use axum::{Router, extract::State, routing::get};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, pooled_connection::{AsyncDieselConnectionManager, deadpool::Pool}};

diesel::table! {
    counter (driver) {
        driver -> Text,
        value -> BigInt,
    }
}

diesel::define_sql_function! { fn pg_backend_pid() -> Integer }

pub fn router(url: &str) -> Result<Router, crate::Error> {
    let pool = Pool::builder(AsyncDieselConnectionManager::<AsyncPgConnection>::new(url)).max_size(5).build()?;
    Ok(Router::new().route("/", get(increment)).with_state(pool))
}

async fn increment(State(pool): State<Pool<AsyncPgConnection>>) -> Result<String, String> {
    crate::answer(async {
        let mut connection = pool.get().await?;
        connection.transaction(async |connection| {
            diesel::update(counter::table.find("diesel")).set(counter::value.eq(counter::value + 1)).execute(connection).await?;
            Ok::<_, crate::Error>(diesel::select(pg_backend_pid()).get_result(connection).await?)
        }).await
    }.await)
}
"#;

/// The texts of the statements in the trace of a request to this path.
async fn statements_of(host: &Host, path: &str) -> Vec<String> {
    let answer = host.get(&format!("/{path}")).await;
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    let trace = host.json(&format!("/__dev/requests/{id}.json")).await;
    let events = trace["events"].as_array().unwrap().iter();
    let texts = events.filter_map(|event| event["text"].as_str());
    texts.map(str::to_owned).collect()
}

/// Ten clients, who share one connection of the database with each other and with every generation.
#[tokio::test]
async fn an_app_with_pools_of_any_driver_is_saved_under_load_on_one_backend() {
    let saves: usize = env::var("SAVES").map_or(3, |saves| saves.parse().unwrap());
    let project = Foreign::new(&[
        ("Cargo.toml", &manifest("counters")),
        ("src/lib.rs", APP),
        ("src/with_sqlx.rs", WITH_SQLX),
        ("src/with_sea_orm.rs", WITH_SEA_ORM),
        ("src/with_diesel.rs", WITH_DIESEL),
        (
            "migrations/20240101000000_add_counter.sql",
            "CREATE TABLE counter (driver text PRIMARY KEY, value bigint NOT NULL);\n\
             INSERT INTO counter VALUES ('sqlx', 0), ('sea_orm', 0), ('diesel', 0);\n",
        ),
    ]);
    project.adopt();
    let host = project.serve().await;
    let observer = host.observe().await;

    let over = Arc::new(AtomicBool::new(false));
    let counts = Arc::new([const { AtomicUsize::new(0) }; 3]);
    let clients: Vec<_> = (0..10)
        .map(|number| {
            let (over, counts) = (Arc::clone(&over), Arc::clone(&counts));
            let (client, base) = (client(), host.base.clone());
            tokio::spawn(async move {
                let mut pids = BTreeSet::new();
                for driver in (0..3).cycle().skip(number) {
                    if over.load(Relaxed) {
                        break;
                    }
                    let path = ["sqlx", "sea_orm", "diesel"][driver];
                    let answer = client.get(format!("{base}/{path}")).send().await.unwrap();
                    let (status, text) = (answer.status(), answer.text().await.unwrap());
                    assert!(status.is_success(), "{path}: {status} {text}");
                    pids.insert(text.rsplit(' ').next().unwrap().to_owned());
                    counts[driver].fetch_add(1, Relaxed);
                }
                pids
            })
        })
        .collect();

    let others = "SELECT concat_ws(' ', pid, application_name, state, query) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let mut most = Vec::new();
    for save in 0..saves {
        let (now, then) = (format!("word {save}"), format!("word {}", save + 1));
        host.checkout.edit("src/lib.rs", &now, &then);
        eventually("the save to be live", async || {
            let backends = observer.query(others, &[]).await.unwrap();
            if backends.len() > most.len() {
                most = backends.iter().map(|row| row.get::<_, String>(0)).collect();
            }
            (host.text("/").await == then).then_some(())
        })
        .await;
    }
    over.store(true, Relaxed);
    let mut pids = BTreeSet::new();
    for client in clients {
        pids.extend(client.await.unwrap());
    }
    eprintln!(
        "{saves} saves, {counts:?} requests, backends {pids:?}, at most {} at once",
        most.len()
    );
    assert_eq!((pids.len(), most.len()), (1, 1), "{most:#?}");
    // Each request has been done once, those at a swap too.
    for (driver, count) in ["sqlx", "sea_orm", "diesel"].iter().zip(counts.iter()) {
        let sql = "SELECT value FROM counter WHERE driver = $1";
        let value: i64 = observer.query_one(sql, &[driver]).await.unwrap().get(0);
        let count = i64::try_from(count.load(Relaxed)).unwrap();
        assert!(count > 0, "{driver}");
        assert_eq!(value, count, "{driver}");
    }
    // And each shows what it did in the database.
    for driver in ["sqlx", "sea_orm", "diesel"] {
        let statements = statements_of(&host, driver).await;
        let has = |text: &str| statements.iter().any(|it| it.contains(text));
        let all = has("UPDATE") && has("pg_backend_pid()");
        assert!(all, "{driver}: {statements:?}");
    }
    drop(observer);
    give_back(host, &["src/lib.rs"]).await;
}
