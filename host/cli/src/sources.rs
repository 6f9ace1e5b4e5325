//! The sources of one crate as a tree of modules, parsed. Follows `mod` lines as rustc does, without `cfg`, except that
//! what is under `cfg(test)` is left out. Expands no macros.

use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, ExprLit, Item, ItemUse, Lit, Meta, UseTree};

use crate::{failure::Failure, files::read};

/// A module, with the modules in it.
pub(crate) struct Module {
    /// From the crate's root, which is empty.
    pub(crate) path: Vec<String>,
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
    pub(crate) children: Vec<Module>,
}

/// A name that a `use` brings in.
pub(crate) struct Used {
    pub(crate) path: Vec<String>,
    /// `*` for all that is there.
    pub(crate) name: String,
}

impl Module {
    /// Reads the crate whose root is `file`.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let text = read(file)?.unwrap_or_default();
        Self::parse(&text, file, folder, Vec::new())
    }

    fn parse(text: &str, file: &Path, folder: &Path, path: Vec<String>) -> Result<Self, Failure> {
        let parsed = syn::parse_file(text).map_err(|source| Failure::Rust {
            path: file.to_owned(),
            source,
        })?;
        Self::build(parsed.items, file, folder, path)
    }

    /// `folder` is where the files of modules in this one are.
    fn build(
        items: Vec<Item>,
        file: &Path,
        folder: &Path,
        path: Vec<String>,
    ) -> Result<Self, Failure> {
        let items: Vec<Item> = items.into_iter().filter(|item| !is_test(item)).collect();
        let mut children = Vec::new();
        for item in &items {
            let Item::Mod(module) = item else { continue };
            let name = module.ident.to_string();
            let path = [&path[..], std::slice::from_ref(&name)].concat();
            let inside = folder.join(&name);
            if let Some((_, items)) = &module.content {
                children.push(Self::build(items.clone(), file, &inside, path)?);
                continue;
            }
            let beside = file.parent().unwrap_or(folder);
            let files = match named_path(&module.attrs) {
                Some(named) => vec![beside.join(named)],
                None => vec![inside.with_extension("rs"), inside.join("mod.rs")],
            };
            for file in files {
                // A file that is made by a build script is not there yet.
                if let Some(text) = read(&file)? {
                    let is_mod = file.file_name().is_some_and(|name| name == "mod.rs");
                    let within = file.parent().filter(|_| is_mod).unwrap_or(&inside);
                    children.push(Self::parse(&text, &file, within, path.clone())?);
                }
            }
        }
        Ok(Self {
            path,
            file: file.to_owned(),
            items,
            children,
        })
    }

    /// This module and all in it.
    pub(crate) fn all(&self) -> Vec<&Module> {
        let inside = self.children.iter().flat_map(Module::all);
        std::iter::once(self).chain(inside).collect()
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Module> {
        let is_named = |child: &&Module| child.path.last().is_some_and(|last| last == name);
        self.children.iter().find(is_named)
    }

    /// `path` with its first name replaced by what a `use` of this module says it is.
    pub(crate) fn in_full(&self, path: &syn::Path) -> Vec<String> {
        let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let used = self.uses().find(|used| Some(&used.name) == names.first());
        match used {
            Some(used) => [&used.path[..], &names[1..]].concat(),
            None => names,
        }
    }

    /// What it brings in from elsewhere.
    pub(crate) fn uses(&self) -> impl Iterator<Item = Used> {
        let uses = self.items.iter().filter_map(|item| match item {
            Item::Use(used) => Some(names_of(used)),
            _ => None,
        });
        uses.flatten()
    }
}

/// The names that a `use` brings in.
pub(crate) fn names_of(used: &ItemUse) -> Vec<Used> {
    fn walk(tree: &UseTree, before: &[String], found: &mut Vec<Used>) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let mut add = |path: Vec<String>, name: String| {
            let path = match path.last() {
                Some(last) if last == "self" => path[..path.len() - 1].to_vec(),
                _ => path,
            };
            found.push(Used { path, name });
        };
        match tree {
            UseTree::Path(path) => walk(&path.tree, &with(&path.ident), found),
            UseTree::Name(name) if name.ident == "self" => {
                add(before.to_vec(), before.last().cloned().unwrap_or_default());
            }
            UseTree::Name(name) => add(with(&name.ident), name.ident.to_string()),
            UseTree::Rename(name) => add(with(&name.ident), name.rename.to_string()),
            UseTree::Glob(_) => add(before.to_vec(), "*".into()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    walk(tree, before, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(&used.tree, &[], &mut found);
    found
}

/// `#[path = "…"]`.
fn named_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) if pair.path.is_ident("path") => Some(text.value()),
            _ => None,
        }
    })
}

fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}
