//! Which module of the host uses which, read from its sources.
//!
//! Understands `use` trees, paths in code, `super`, and a room's re-exports: a name that a `mod.rs` passes on counts as
//! a use of the module that defines it. Does not expand macros.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    ItemMod, ItemUse, Macro, UseTree,
    visit::{self, Visit},
};

/// A module by its names, for example `["reload", "build", "cargo"]`; the crate's root is empty.
pub(super) type Module = Vec<String>;

/// The modules of a crate.
pub(super) struct Modules {
    /// Each with the paths it uses, absolute in the crate.
    paths: BTreeMap<Module, BTreeSet<Vec<String>>>,
    /// What a module passes on: `(module, name)` to the path it is from.
    passed_on: BTreeMap<(Module, String), Vec<String>>,
    /// The modules that are declared, by their full names.
    declared: BTreeSet<Module>,
}

impl Modules {
    /// Reads all files under `source`, the `src` folder of a crate.
    pub(super) fn read(source: &Path) -> Self {
        let mut modules = Self {
            paths: BTreeMap::new(),
            passed_on: BTreeMap::new(),
            declared: BTreeSet::new(),
        };
        modules.read_folder(source, &[]);
        modules
    }

    fn read_folder(&mut self, folder: &Path, at: &[String]) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let module = match name.as_str() {
                "mod" | "lib" => at.to_vec(),
                _ => [at, &[name]].concat(),
            };
            if path.is_dir() {
                self.read_folder(&path, &module);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && path.file_stem().is_some_and(|stem| stem != "main")
            {
                let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
                let mut reader = Reader {
                    module: module.clone(),
                    inside: 0,
                    modules: self,
                };
                reader.modules.paths.entry(module).or_default();
                reader.visit_file(&file);
            }
        }
    }

    /// Each module and one that it uses, other than itself and modules around or inside it.
    pub(super) fn uses(&self) -> BTreeSet<(&Module, &Module)> {
        let mut uses = BTreeSet::new();
        for (user, paths) in &self.paths {
            for path in paths {
                let Some(used) = self.module_of(path, 0) else {
                    continue;
                };
                if !used.starts_with(user) && !user.starts_with(used) {
                    uses.insert((user, used));
                }
            }
        }
        uses
    }

    /// The module that defines what `path` names.
    fn module_of(&self, path: &[String], depth: usize) -> Option<&Module> {
        assert!(depth < 8, "{path:?} is passed on in a circle");
        let length = (0..=path.len())
            .rev()
            .find(|length| self.paths.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        if let Some(name) = rest.first()
            && let Some(from) = self.passed_on.get(&(module.to_vec(), name.clone()))
        {
            return self.module_of(from, depth + 1);
        }
        self.paths.get_key_value(module).map(|(module, _)| module)
    }
}

/// Collects the paths of one file.
struct Reader<'a> {
    module: Module,
    /// How many inline modules the current place is inside of, such as `tests`.
    inside: usize,
    modules: &'a mut Modules,
}

impl Reader<'_> {
    /// Records a path, if it is one inside the crate. Returns it absolute.
    fn record(&mut self, path: &[String]) -> Option<Vec<String>> {
        let mut at: Vec<String> = self.module.clone();
        let mut inside = self.inside;
        let mut rest = path;
        loop {
            match rest.first()?.as_str() {
                "crate" => (at, inside, rest) = (Vec::new(), 0, &rest[1..]),
                "self" if path.len() > 1 => rest = &rest[1..],
                "super" if inside > 0 => (inside, rest) = (inside - 1, &rest[1..]),
                "super" => {
                    at.pop()?;
                    rest = &rest[1..];
                }
                _ => break,
            }
        }
        // A path without a prefix names a child module, an item in scope, or another crate.
        let named = path.len() != rest.len();
        // Files are read in no order, so whether it is a child is looked up among the declarations.
        if !named
            && !self
                .modules
                .declared
                .contains(&[&at[..], &rest[..1]].concat())
        {
            return None;
        }
        at.extend_from_slice(rest);
        let user = self.module.clone();
        self.modules
            .paths
            .entry(user)
            .or_default()
            .insert(at.clone());
        Some(at)
    }

    fn tree(&mut self, tree: &UseTree, before: &mut Vec<String>, is_public: bool) {
        let mut name = |reader: &mut Self, ident: String, known_as: String| {
            before.push(ident);
            let path = match before.last().is_some_and(|last| last == "self") {
                true => before[..before.len() - 1].to_vec(),
                false => before.clone(),
            };
            if let (Some(from), true) = (reader.record(&path), is_public) {
                let module = reader.module.clone();
                reader.modules.passed_on.insert((module, known_as), from);
            }
            before.pop();
        };
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before, is_public);
                before.pop();
            }
            UseTree::Name(it) => name(self, it.ident.to_string(), it.ident.to_string()),
            UseTree::Rename(it) => name(self, it.ident.to_string(), it.rename.to_string()),
            UseTree::Glob(_) => drop(self.record(&before.clone())),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before, is_public);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_file(&mut self, file: &'ast syn::File) {
        for item in &file.items {
            if let syn::Item::Mod(item) = item {
                let child = [&self.module[..], &[item.ident.to_string()]].concat();
                self.modules.declared.insert(child);
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.inside += 1;
        visit::visit_item_mod(self, item);
        self.inside -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        self.tree(&item.tree, &mut Vec::new(), is_public && self.inside == 0);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.record(&names);
        visit::visit_path(self, path);
    }

    /// Arguments of macros are tokens; of those, only paths that begin with `crate` are found.
    fn visit_macro(&mut self, item: &'ast Macro) {
        let text = item.tokens.to_string().replace(' ', "");
        for found in text.split("crate::").skip(1) {
            let end = found
                .find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                .unwrap_or(found.len());
            let path: Vec<String> = std::iter::once("crate")
                .chain(found[..end].split("::").filter(|name| !name.is_empty()))
                .map(str::to_owned)
                .collect();
            self.record(&path);
        }
        visit::visit_macro(self, item);
    }
}
