//! What the name of a file says: which tool's it is, and which migration. Opens no file.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::style::Style;

/// A file that one of the tools would find.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) style: Style,
    /// As the history table has it. A number, except diesel's.
    pub(super) version: String,
    /// As the history table has it; diesel's has none.
    pub(super) title: String,
    /// As it is shown.
    pub(super) name: String,
    /// It undoes the migration.
    pub(super) is_down: bool,
}

impl Named {
    /// By the path from the folder of migrations. `None`: no tool would find it.
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            [folder, file @ ("up.sql" | "down.sql")] => Some(diesel(folder, file == "down.sql")),
            [file] => sqlx(file).or_else(|| refinery(file)),
            // refinery is the only one that looks into subfolders.
            [.., file] => refinery(file),
            [] => None,
        }
    }
}

/// `V3__add_colour.sql`, or with a U where the order does not matter.
fn refinery(file: &str) -> Option<Named> {
    let name = file.strip_suffix(".sql")?;
    let (number, title) = name.strip_prefix(['V', 'U'])?.split_once("__")?;
    let fits = |c: char| c.is_alphanumeric() || c == '_';
    (!title.is_empty() && title.chars().all(fits)).then_some(())?;
    Some(Named {
        style: Style::Refinery,
        version: number_in(number)?,
        title: title.to_owned(),
        name: name.to_owned(),
        is_down: false,
    })
}

/// `20260131120000_add_colour.sql`, or `….up.sql` with `….down.sql`.
fn sqlx(file: &str) -> Option<Named> {
    let (number, rest) = file.split_once('_')?;
    let suffixes = [".up.sql", ".down.sql", ".sql"];
    let suffix = suffixes.into_iter().find(|it| rest.ends_with(it))?;
    let title = rest.trim_end_matches(suffix);
    Some(Named {
        style: Style::Sqlx,
        version: number_in(number)?,
        title: title.replace('_', " "),
        name: format!("{number}_{title}"),
        is_down: suffix == ".down.sql",
    })
}

/// `2026-01-31-120000_add_colour/up.sql`. diesel takes any folder; its version may be any text.
fn diesel(folder: &str, is_down: bool) -> Named {
    let version = folder.split('_').next().unwrap_or(folder);
    Named {
        style: Style::Diesel,
        version: version.replace('-', ""),
        title: String::new(),
        name: folder.to_owned(),
        is_down,
    }
}

/// Without zeros in front.
fn number_in(text: &str) -> Option<String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = is_number.then(|| text.parse().ok())??;
    Some(number.to_string())
}

/// The order in which a tool applies them.
pub(super) fn in_order(style: Style, left: &str, right: &str) -> Ordering {
    match style {
        Style::Diesel => left.cmp(right),
        Style::Refinery | Style::Sqlx => number(left).cmp(&number(right)),
    }
}

/// The version of a file or row, if it is a number.
pub(super) fn number(version: &str) -> Option<i64> {
    version.parse().ok()
}

/// The tool that these files are for: `None` if they are for none, and an example of each if they are for several.
pub(super) fn style_of<'a>(
    files: impl Iterator<Item = (&'a str, Option<&'a Named>)>,
) -> Result<Option<Style>, BTreeMap<Style, &'a str>> {
    let mut found = BTreeMap::new();
    for (path, named) in files {
        if let Some(named) = named {
            found.entry(named.style).or_insert(path);
        }
    }
    match found.len() {
        0 | 1 => Ok(found.into_keys().next()),
        _ => Err(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_right_as_a_whole() {
        use Style::{Diesel, Refinery, Sqlx};
        for (path, right) in [
            ("V3__add_colour.sql", Some((Refinery, "3", "add_colour"))),
            ("U3__view.sql", Some((Refinery, "3", "view"))),
            ("V03__a__b.sql", Some((Refinery, "3", "a__b"))),
            (
                "V20260131120000__a.sql",
                Some((Refinery, "20260131120000", "a")),
            ),
            ("2026/V3__add.sql", Some((Refinery, "3", "add"))),
            (
                "20260131120000_add_it.sql",
                Some((Sqlx, "20260131120000", "add it")),
            ),
            ("0001_a.sql", Some((Sqlx, "1", "a"))),
            ("0001_a.up.sql", Some((Sqlx, "1", "a"))),
            ("0001_a-b.c.down.sql", Some((Sqlx, "1", "a-b.c"))),
            (
                "2026-01-31-120000_a/up.sql",
                Some((Diesel, "20260131120000", "")),
            ),
            (
                "00000000000000_diesel_initial_setup/up.sql",
                Some((Diesel, "00000000000000", "")),
            ),
            ("first/down.sql", Some((Diesel, "first", ""))),
            ("V3__add-colour.sql", None),
            ("V3__add colour.sql", None),
            ("V3_add.sql", None),
            ("V3.1__add.sql", None),
            ("V3__.sql", None),
            ("|3__add.sql", None),
            ("99999999999999999999_a.sql", None),
            ("-1_a.sql", None),
            ("1_a.txt", None),
            ("2026/1_a.sql", None),
            ("a/b/up.sql", None),
            ("next.sql", None),
        ] {
            let named = Named::of(path);
            let found = named
                .as_ref()
                .map(|it| (it.style, &*it.version, &*it.title));
            assert_eq!(found, right, "{path}");
            let is_down = named.is_some_and(|it| it.is_down);
            assert_eq!(is_down, path.ends_with("down.sql"), "{path}");
        }
    }

    #[test]
    fn the_files_say_whose_they_are() {
        let style = |files: &[&'static str]| {
            let named: Vec<_> = files.iter().map(|it| (*it, Named::of(it))).collect();
            let files = named.iter().map(|(path, named)| (*path, named.as_ref()));
            style_of(files).map_err(|found| found.into_values().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(style(&[]), Ok(None));
        assert_eq!(style(&["next.sql"]), Ok(None));
        for (one, its) in Style::ALL.map(|style| (style.example(), style)) {
            assert_eq!(style(&["next.sql", one]), Ok(Some(its)));
        }
        let mixed = style(&["1_a.sql", "V1__a.sql", "2_b.sql"]);
        assert_eq!(mixed, Err("V1__a.sql 1_a.sql".to_owned()));
        let mixed = style(&["1_a/up.sql", "1_a.sql"]);
        assert_eq!(mixed, Err("1_a.sql 1_a/up.sql".to_owned()));
    }

    #[test]
    fn numbers_are_in_order_of_size_and_texts_of_their_letters() {
        assert_eq!(in_order(Style::Sqlx, "9", "10"), Ordering::Less);
        assert_eq!(in_order(Style::Diesel, "9", "10"), Ordering::Greater);
    }
}
