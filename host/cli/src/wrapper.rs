//! The code in `dev/app` that calls the user's function: what it passes, and what only the user can write.

use cargo_metadata::{Dependency, Package};

use crate::{
    functions::{Function, Parameter},
    project::needed,
    recipe::Recipe,
};

/// A value that the wrapper can make: the ends of its type's paths, the expression, and the crate that it needs.
const KNOWN: [(&[&str], &str, &str); 3] = [
    (
        &["sqlx::PgPool", "sqlx::postgres::PgPool", "sqlx::Pool"],
        "sqlx::PgPool::connect_lazy(&std::env::var(\"DATABASE_URL\")?)?",
        "sqlx",
    ),
    (
        &["sea_orm::DatabaseConnection", "sea_orm::DbConn"],
        "sea_orm::Database::connect(std::env::var(\"DATABASE_URL\")?).await?",
        "sea-orm",
    ),
    (
        &["deadpool_postgres::Pool"],
        "deadpool_postgres::Config { url: Some(std::env::var(\"DATABASE_URL\")?), ..Default::default() }\n        .create_pool(Some(deadpool_postgres::Runtime::Tokio1), tokio_postgres::NoTls)?",
        "deadpool-postgres",
    ),
];

/// What goes into `dev/app`.
#[derive(Default)]
pub(crate) struct Wrapper {
    /// The function's body.
    pub(crate) body: String,
    /// Whether it uses the state.
    pub(crate) uses_state: bool,
    /// Crates that it names, each with the user's requirement.
    pub(crate) crates: Vec<(String, String)>,
    /// Crates that the user's binary names, as it depends on them.
    pub(crate) theirs: Vec<Dependency>,
    /// Where the user's binary does the same, if that was copied.
    pub(crate) copied: Option<String>,
    /// Values that the user has to write: `config: Config`.
    pub(crate) missing: Vec<String>,
}

impl Wrapper {
    /// The call of `function`, in the library `krate` of `package`.
    pub(crate) fn new(package: &Package, krate: &str, function: &Function) -> Self {
        let mut wrapper = Self::default();
        let callee = format!("{krate}::{}", function.path);
        let is_only = function.parameters.len() == 1;
        let arguments: Vec<String> = function
            .parameters
            .iter()
            .map(|parameter| wrapper.argument(package, &callee, parameter, is_only))
            .collect();
        wrapper.finish(&callee, function, &arguments);
        wrapper
    }

    /// The same with statements of the user's binary.
    pub(crate) fn copying(recipe: Recipe, krate: &str, function: &Function) -> Self {
        let callee = format!("{krate}::{}", function.path);
        let place = recipe.place;
        let mut wrapper = Self {
            body: format!(
                "    // As in {place}; a pool is one per generation, and ends with it.\n{}",
                recipe.statements
            ),
            theirs: recipe.crates,
            copied: Some(place),
            ..Self::default()
        };
        wrapper.finish(&callee, function, &recipe.arguments);
        wrapper
    }

    fn finish(&mut self, callee: &str, function: &Function, arguments: &[String]) {
        let mut call = format!("{callee}({})", arguments.join(", "));
        for (part, is_needed) in [
            (".await", function.is_async),
            ("?", function.is_fallible),
            (".into()", function.is_ours),
        ] {
            call.push_str(if is_needed { part } else { "" });
        }
        self.body.push_str(&format!("    Ok({call})"));
    }

    /// The argument, after the lines that make it.
    fn argument(
        &mut self,
        package: &Package,
        callee: &str,
        parameter: &Parameter,
        is_only: bool,
    ) -> String {
        let Parameter {
            name,
            shown,
            path,
            by_reference,
        } = parameter;
        let borrow = if *by_reference { "&" } else { "" };
        let path = path.join("::");
        let of_state = match path.as_str() {
            "shared::AppState" | "shared::app::AppState" => Some("state"),
            "shared::Db" | "shared::db::Db" | "shared_db::Db" => Some("state.db"),
            "tokio_util::sync::CancellationToken" => Some("state.shutdown"),
            _ => None,
        };
        if let Some(field) = of_state {
            self.uses_state = true;
            // Another parameter may need the state, too.
            return match (by_reference, is_only) {
                (true, _) => format!("&{field}"),
                (false, true) => field.to_owned(),
                (false, false) => format!("{field}.clone()"),
            };
        }
        let is_url = name.contains("url") || name.contains("database");
        if is_url && matches!(path.as_str(), "str" | "String") {
            self.body.push_str(&format!(
                "    let {name} = std::env::var(\"DATABASE_URL\")?;\n"
            ));
            return format!("{borrow}{name}");
        }
        let known = KNOWN.iter().find_map(|(paths, expression, of)| {
            let dependency = needed(package).find(|dependency| dependency.name == *of)?;
            paths
                .contains(&path.as_str())
                .then_some((*expression, dependency))
        });
        if let Some((expression, dependency)) = known {
            let requirement = (dependency.name.clone(), dependency.req.to_string());
            if dependency.name == "deadpool-postgres" {
                let postgres = needed(package).find(|one| one.name == "tokio-postgres");
                let requirement = postgres.map_or("0.7".to_owned(), |one| one.req.to_string());
                self.crates.push(("tokio-postgres".into(), requirement));
            }
            self.crates.push(requirement);
            self.body.push_str(&format!(
                "    // Like your production binary; one per generation, which closes it when it ends.\n    let {name} = {expression};\n"
            ));
            return format!("{borrow}{name}");
        }
        let of = if matches!(path.as_str(), "str") {
            ": String"
        } else {
            ""
        };
        self.body.push_str(&format!(
            "    // Make it here as your production binary does.\n    let {name}{of} = todo!(\"`{callee}` takes `{name}: {borrow}{shown}`: make it in dev/app/src/lib.rs\");\n"
        ));
        self.missing.push(format!("{name}: {borrow}{shown}"));
        format!("{borrow}{name}")
    }
}
