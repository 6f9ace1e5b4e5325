//! What stays: routes, handlers, the connection.

use std::{env, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use lib::Row;
use tokio_postgres::{Client, NoTls};

#[hot_lib_reloader::hot_module(dylib = "lib")]
mod hot_lib {
    // every resource
    pub use lib::Row;
}

#[derive(Clone)]
struct Db(Arc<Client>);

impl Db {
    async fn rows(&self, statement: String) -> Vec<Row> {
        let rows = self.0.query(&statement, &[]).await.unwrap();
        rows.iter()
            .map(|row| Row {
                id: row.get("id"),
                title: row.get("title"),
                amount: row.get("amount"),
            })
            .collect()
    }

    async fn all(&self, table: &str) -> Vec<Row> {
        self.rows(format!("SELECT * FROM {table} ORDER BY id DESC LIMIT 50")).await
    }

    async fn one(&self, table: &str, id: i64) -> Row {
        self.rows(format!("SELECT * FROM {table} WHERE id = {id}")).await.remove(0)
    }

    async fn insert(&self, table: &str) -> Row {
        self.rows(format!("INSERT INTO {table} (title, amount) VALUES ('new', 0) RETURNING *")).await.remove(0)
    }
}

#[tokio::main]
async fn main() {
    let (client, connection) = tokio_postgres::connect(&env::var("DATABASE_URL").unwrap(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let app = Router::new()
        // every route
        .with_state(Db(Arc::new(client)));
    let listener = tokio::net::TcpListener::bind(env::args().nth(1).unwrap()).await.unwrap();
    axum::serve(listener, app).await.unwrap();
}
