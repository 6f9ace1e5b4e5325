//! Turns a row into a struct, or names the column that does not fit.
//!
//! [`row!`](crate::row!) writes the mapping: a macro by example, since a derive would be one more crate to load and to
//! run on each save. The generic code here is as thin as possible; error messages are built in non-generic code,
//! compiled once.

use std::{any::type_name, panic::Location};

use tokio_postgres::{
    Row,
    types::{FromSql, FromSqlOwned, Type, WasNull, WrongType},
};

use super::{error::DbError, recording::record_failure};

/// A struct that is built from a row, by column name. [`row!`](crate::row!) implements it.
pub trait FromRow: Sized {
    /// The columns it reads, in the order of its fields.
    const COLUMNS: &'static [Column];

    /// Reads the row. Columns without a field are ignored.
    ///
    /// # Errors
    ///
    /// [`DbError::Row`], for the first field without a column that fits.
    #[track_caller]
    fn from_row(row: &Row) -> Result<Self, DbError>;

    /// [`from_row`](Self::from_row) for each of them.
    ///
    /// # Errors
    ///
    /// As `from_row`.
    #[track_caller]
    fn from_rows(rows: &[Row]) -> Result<Vec<Self>, DbError> {
        // A loop, because collecting an iterator of results means a dozen more functions to compile for each row type.
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(Self::from_row(row)?);
        }
        Ok(all)
    }

    /// The names of [`COLUMNS`](Self::COLUMNS), for a SELECT or a RETURNING of sea-query.
    #[must_use]
    fn names() -> Vec<&'static str> {
        names(Self::COLUMNS)
    }
}

/// The column that a field of a [`FromRow`] expects.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name of the field and of the column.
    pub name: &'static str,
    /// Its type in the table as psql's `\d` prints it, if declared: for a test to compare.
    pub sql: Option<&'static str>,
    /// Whether the field can take a value of this type.
    pub fits: fn(&Type) -> bool,
    /// Whether the field accepts NULL.
    pub nullable: fn() -> bool,
}

impl Column {
    /// The column of a field of type `T`.
    #[must_use]
    pub const fn of<T: FromSqlOwned>(name: &'static str, sql: Option<&'static str>) -> Self {
        Self {
            name: bare(name),
            sql,
            fits: <T as FromSql>::accepts,
            nullable: || T::from_sql_null(&Type::TEXT).is_ok(),
        }
    }
}

/// Not generic, and always the same type: the app compiles sea-query's `columns` only once.
fn names(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().map(|column| column.name).collect()
}

/// A field `r#type` is for the column `type`.
const fn bare(name: &str) -> &str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// One column of a row, where a struct is not worth it.
///
/// ```no_run
/// # async fn example(db: shared_db::Db) -> Result<(), shared_db::DbError> {
/// let row = db.query_one("SELECT count(*) AS total FROM counter", &[]).await?;
/// let total: i64 = shared_db::column(&row, "total")?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`DbError::Row`]: there is no such column, or its type or its NULL does not fit `T`.
#[track_caller]
pub fn column<'r, T: FromSql<'r>>(row: &'r Row, name: &str) -> Result<T, DbError> {
    let name = bare(name);
    match row.try_get(name) {
        Ok(value) => Ok(value),
        Err(error) => {
            let error = misfit(row, name, type_name::<T>(), &error);
            record_failure(Location::caller(), None, &error);
            Err(error)
        }
    }
}

/// The error message: column name, wanted and found type, and never the value.
fn misfit(row: &Row, name: &str, wanted: &str, error: &tokio_postgres::Error) -> DbError {
    let wanted = without_paths(wanted);
    let mut columns = row.columns().iter();
    // The same lookup as in `try_get`.
    let named = columns.find(|column| column.name().eq_ignore_ascii_case(name));
    let source = std::error::Error::source(error);
    let reason = match (named, source) {
        (None, _) => {
            let names: Vec<&str> = row.columns().iter().map(|column| column.name()).collect();
            format!(
                "the query returns no column `{name}`; it has {}",
                names.join(", ")
            )
        }
        (Some(_), Some(source)) if source.is::<WasNull>() => {
            format!("column `{name}` is NULL and does not fit {wanted}; Option<{wanted}> would")
        }
        // The source says why, and may quote the value, which must not leave the process.
        (Some(column), Some(source)) if !source.is::<WrongType>() => format!(
            "column `{name}` is {} and its value does not fit {wanted}",
            column.type_()
        ),
        (Some(column), _) => format!(
            "column `{name}` is {} and does not fit {wanted}",
            column.type_()
        ),
    };
    DbError::Row {
        column: name.to_owned(),
        reason,
    }
}

/// `core::option::Option<alloc::string::String>` as written in source: `Option<String>`.
fn without_paths(name: &str) -> String {
    let mut short = String::new();
    for part in name.split_inclusive(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':')) {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}

/// Defines a struct whose fields are columns of the same name, and implements [`FromRow`] for it.
///
/// Attributes and derives pass through. A field whose column may be NULL is an `Option`. `as "…"` declares the column's
/// type in its table, as psql's `\d` prints it; only a test that compares schemas needs it.
///
/// ```no_run
/// use chrono::{DateTime, Utc};
/// use rust_decimal::Decimal;
/// use shared_db::FromRow;
///
/// shared_db::row! {
///     /// Something a customer has bought.
///     #[derive(Debug)]
///     pub struct Purchase {
///         pub id: uuid::Uuid as "uuid",
///         pub price: Decimal as "numeric",
///         pub tags: Vec<String>,
///         pub details: serde_json::Value,
///         pub paid_at: Option<DateTime<Utc>>,
///     }
/// }
///
/// # async fn example(db: shared_db::Db) -> Result<(), shared_db::DbError> {
/// let rows = db.query("SELECT id, price, tags, details, paid_at FROM purchase", &[]).await?;
/// let purchases = Purchase::from_rows(&rows)?;
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! row {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[$of_field:meta])*
                $seen:vis $field:ident: $type:ty $(as $sql:literal)?
            ),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility struct $name {
            $( $(#[$of_field])* $seen $field: $type, )*
        }

        impl $crate::FromRow for $name {
            const COLUMNS: &'static [$crate::Column] = &[
                $( $crate::Column::of::<$type>(
                    ::core::stringify!($field),
                    $crate::row!(@sql $($sql)?),
                ), )*
            ];

            fn from_row(row: &$crate::Row) -> ::core::result::Result<Self, $crate::DbError> {
                ::core::result::Result::Ok(Self {
                    $( $field: $crate::column(row, ::core::stringify!($field))?, )*
                })
            }
        }
    };
    (@sql) => { ::core::option::Option::None };
    (@sql $sql:literal) => { ::core::option::Option::Some($sql) };
}
