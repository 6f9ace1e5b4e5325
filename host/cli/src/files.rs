//! Files of the project: read, written, parsed, and named from one another.

use std::{
    fs,
    io::ErrorKind,
    path::{Component, Path, PathBuf},
};

use toml_edit::DocumentMut;

use crate::failure::Failure;

/// Reads a file as text; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Failure::file(path)(source)),
    }
}

/// Writes a file, and its folder.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    }
    fs::write(path, text).map_err(Failure::file(path))
}

/// Parses a TOML file.
pub(crate) fn parse(path: &Path) -> Result<DocumentMut, Failure> {
    let text = read(path)?.unwrap_or_default();
    parse_text(path, &text)
}

pub(crate) fn parse_text(path: &Path, text: &str) -> Result<DocumentMut, Failure> {
    text.parse().map_err(|source| Failure::Toml {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// `to` as a path from the folder `from`; both are absolute.
pub(crate) fn relative(from: &Path, to: &Path) -> String {
    let plain = |path: &Path| -> Vec<String> {
        let mut parts = Vec::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    parts.pop();
                }
                part => parts.push(part.as_os_str().to_string_lossy().into_owned()),
            }
        }
        parts
    };
    let (from, to) = (plain(from), plain(to));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[common..].iter().map(|_| "..".to_owned());
    let path: PathBuf = up.chain(to[common..].iter().cloned()).collect();
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_from_one_folder_to_another() {
        let path = |from, to| relative(Path::new(from), Path::new(to));
        assert_eq!(path("/shop/dev/app", "/shop"), "../..");
        assert_eq!(
            path("/shop/dev/app", "/shop/crates/api"),
            "../../crates/api"
        );
        assert_eq!(path("/shop/dev", "/shop/../fork/./uuid"), "../../fork/uuid");
    }
}
