//! How the user's binary makes what the function takes: the statements before its call, copied.
//!
//! Knows names and not types. Gives up where a statement needs something that only the binary has: then the user writes
//! the value.

// A statement, and what it names.
mod statement;

use std::collections::BTreeSet;

use cargo_metadata::{Dependency, Package};
use syn::{
    Block, Expr, ExprCall, Item, ItemFn,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::{
    failure::Failure,
    functions::Function,
    project::{Project, binaries, library, needed},
    sources::Module,
};
use statement::{Statement, is_about, made_in, named_in};

/// What the wrapper says instead of asking the user.
pub(crate) struct Recipe {
    /// Statements, each on lines of its own.
    pub(crate) statements: String,
    /// The arguments of the call.
    pub(crate) arguments: Vec<String>,
    /// The crates that they name, as the binary depends on them.
    pub(crate) crates: Vec<Dependency>,
    /// Where they were found: `src/main.rs:12-20`.
    pub(crate) place: String,
}

/// The recipe for `function`, in a binary of its package or of one that depends on it.
pub(crate) fn find(
    project: &Project,
    package: &Package,
    function: &Function,
) -> Result<Option<Recipe>, Failure> {
    let krate = library(package).map_or("", |library| &library.name);
    let called: Vec<&str> = [krate]
        .into_iter()
        .chain(function.path.split("::"))
        .collect();
    let users = project.packages().iter().filter(|user| {
        user.name == package.name || needed(user).any(|needed| needed.name == *package.name)
    });
    for user in users {
        for target in binaries(user) {
            let root = Module::read(target.src_path.as_std_path())?;
            let binary = Binary {
                project,
                user,
                krate,
                root: &root,
            };
            let functions = root.items.iter().filter_map(|item| match item {
                Item::Fn(item) => Some(item),
                _ => None,
            });
            for item in functions {
                if let Some((block, call)) = call_in(&root, item, &called)
                    && let Some(recipe) = binary.recipe(item, block, call)
                {
                    return Ok(Some(recipe));
                }
            }
        }
    }
    Ok(None)
}

/// The innermost block in which the function is called, and the call.
fn call_in<'a>(
    module: &Module,
    item: &'a ItemFn,
    called: &[&str],
) -> Option<(&'a Block, &'a ExprCall)> {
    struct Search<'a, 's> {
        module: &'s Module,
        called: &'s [&'s str],
        blocks: Vec<&'a Block>,
        found: Option<(&'a Block, &'a ExprCall)>,
    }
    impl<'a> Visit<'a> for Search<'a, '_> {
        fn visit_block(&mut self, block: &'a Block) {
            self.blocks.push(block);
            visit::visit_block(self, block);
            self.blocks.pop();
        }

        fn visit_expr_call(&mut self, call: &'a ExprCall) {
            if let (Expr::Path(path), Some(block)) = (&*call.func, self.blocks.last())
                && self.module.in_full(&path.path) == self.called
            {
                self.found.get_or_insert((block, call));
            }
            visit::visit_expr_call(self, call);
        }
    }
    let mut search = Search {
        module,
        called,
        blocks: Vec::new(),
        found: None,
    };
    search.visit_item_fn(item);
    search.found
}

/// A binary, and whose it is.
struct Binary<'a> {
    project: &'a Project,
    user: &'a Package,
    /// The library that both the binary and the wrapper name.
    krate: &'a str,
    root: &'a Module,
}

impl Binary<'_> {
    fn recipe(&self, item: &ItemFn, block: &Block, call: &ExprCall) -> Option<Recipe> {
        let end = call.span().byte_range().start;
        let before = block
            .stmts
            .iter()
            .filter(|statement| statement.span().byte_range().end <= end);
        let mut arguments = Vec::new();
        let mut wanted = BTreeSet::new();
        for argument in &call.args {
            let argument = Statement::read(argument, |names| names.visit_expr(argument))?;
            wanted.extend(argument.names.iter().cloned());
            arguments.push(argument);
        }
        // From the call back to what it needs, and what that needs.
        let mut taken = Vec::new();
        for statement in before.rev() {
            if is_about(statement, &wanted) {
                let found = Statement::read(statement, |names| names.visit_stmt(statement))?;
                wanted.extend(found.names.iter().cloned());
                taken.push(found);
            }
        }
        taken.reverse();
        // What a parameter or another block makes is not there.
        let is_made = |name: &String| taken.iter().any(|one| one.makes.contains(name));
        let lacks = |name: &String| wanted.contains(name) && !is_made(name);
        if made_in(item).iter().any(lacks) {
            return None;
        }
        let mut crates = Vec::new();
        let mut in_wrapper = |one: &Statement| self.in_wrapper(one, &mut crates);
        let statements = taken
            .iter()
            .map(&mut in_wrapper)
            .collect::<Option<Vec<_>>>()?;
        let arguments = arguments
            .iter()
            .map(in_wrapper)
            .collect::<Option<Vec<_>>>()?;
        let traits = self.traits(&mut crates)?;
        let lines = traits.iter().chain(&statements);
        Some(Recipe {
            statements: lines.map(|text| format!("    {text}\n")).collect(),
            arguments,
            crates,
            place: self.place(&taken, call),
        })
    }

    /// The text with paths that hold in the wrapper. `None` if there is one that only the binary can name.
    fn in_wrapper(&self, statement: &Statement, crates: &mut Vec<Dependency>) -> Option<String> {
        let is_foreign = |word: &String| self.is_own(word) || self.is_used(word);
        if statement.is_command_line || statement.words.iter().any(is_foreign) {
            return None;
        }
        let mut text = statement.text.clone();
        for (place, path) in statement.paths.iter().rev() {
            let full = self.root.in_full(path);
            let written: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            self.check(&full, crates)?;
            let first = full.len() - (written.len() - 1);
            text.replace_range(place.clone(), &full[..first].join("::"));
        }
        Some(text)
    }

    /// Whether a path leads out of the binary. Notes the crate that it leads to.
    fn check(&self, full: &[String], crates: &mut Vec<Dependency>) -> Option<()> {
        let [first, rest @ ..] = full else {
            return None;
        };
        if self.is_own(first) {
            return None;
        }
        let is_known = matches!(first.as_str(), "std" | "core" | "alloc") || first == self.krate;
        // A variable, or what the prelude has.
        if is_known || rest.is_empty() || first.starts_with(char::is_uppercase) {
            return Some(());
        }
        let mut needed = needed(self.user);
        let dependency =
            needed.find(|one| one.rename.is_none() && one.name.replace('-', "_") == *first)?;
        let source = dependency.source.as_ref()?; // none: a path crate, which may be the binary's alone
        source
            .repr
            .starts_with("registry")
            .then(|| crates.push(dependency.clone()))
    }

    /// Whether it is a name of the binary's own.
    fn is_own(&self, name: &str) -> bool {
        self.root.items.iter().any(|item| is_named(item, name))
    }

    fn is_used(&self, name: &str) -> bool {
        self.root.uses().any(|used| used.name == name)
    }

    /// What the binary brings in and never names: traits, whose methods the statements may call.
    fn traits(&self, crates: &mut Vec<Dependency>) -> Option<Vec<String>> {
        let named = named_in(self.root);
        let mut lines = Vec::new();
        for used in self.root.uses() {
            let is_trait = used.name.starts_with(char::is_uppercase) || used.name == "_";
            let is_log = used.path.iter().any(|part| part.starts_with("tracing"));
            if is_trait && !is_log && !named.contains(&used.name) {
                self.check(&used.path, crates)?;
                lines.push(format!(
                    "#[allow(unused_imports)] // a trait, in scope there\n    use {} as _;",
                    used.path.join("::")
                ));
            }
        }
        Some(lines)
    }

    fn place(&self, taken: &[Statement], call: &ExprCall) -> String {
        let last = call.span().end().line;
        let first = taken.first().map_or(last, |statement| statement.line);
        format!("{}:{first}-{last}", self.project.shown(&self.root.file))
    }
}

/// Whether an item of the binary defines this name.
fn is_named(item: &Item, name: &str) -> bool {
    let ident = match item {
        Item::Fn(item) => &item.sig.ident,
        Item::Mod(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Const(item) => &item.ident,
        Item::Static(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Macro(item) => return item.ident.as_ref().is_some_and(|ident| ident == name),
        _ => return false,
    };
    ident == name
}
