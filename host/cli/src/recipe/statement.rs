//! A piece of the user's code as text, with the names that it needs and makes, and the places of its paths.

use std::{collections::BTreeSet, ops::Range};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Expr, ExprCall, ItemFn, Local, Macro, PatIdent, Path, Stmt,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::sources::Module;

pub(super) struct Statement {
    pub(super) text: String,
    pub(super) line: usize,
    /// The names that it needs. Not all are variables.
    pub(super) names: BTreeSet<String>,
    /// Those in the arguments of macros, which are only words.
    pub(super) words: BTreeSet<String>,
    /// The variables that it makes.
    pub(super) makes: BTreeSet<String>,
    /// The paths in it, by the places of their first names in the text, in order.
    pub(super) paths: Vec<(Range<usize>, Path)>,
    /// Whether it reads the command line, which is the dev server's in development.
    pub(super) is_command_line: bool,
}

impl Statement {
    /// Reads a statement or an expression, which `visit` visits.
    pub(super) fn read(of: &impl Spanned, visit: impl FnOnce(&mut Names)) -> Option<Self> {
        let mut found = Names::default();
        visit(&mut found);
        let Names {
            makes,
            words,
            paths,
            is_command_line,
        } = found;
        let span = of.span();
        let start = span.byte_range().start;
        let mut paths: Vec<_> = paths
            .into_iter()
            .map(|path| {
                let place = path.segments[0].ident.span().byte_range();
                (place.start - start..place.end - start, path)
            })
            .collect();
        paths.sort_by_key(|(place, _)| place.start);
        let names = paths.iter().map(|(_, path)| first(path));
        Some(Self {
            text: span.source_text()?,
            line: span.start().line,
            names: names.chain(words.iter().cloned()).collect(),
            words,
            makes,
            paths,
            is_command_line,
        })
    }
}

/// Whether a statement makes or changes one of these variables.
pub(super) fn is_about(statement: &Stmt, variables: &BTreeSet<String>) -> bool {
    let is_one = |expression: &Expr| match expression {
        Expr::Path(path) => path
            .path
            .get_ident()
            .is_some_and(|ident| variables.contains(&ident.to_string())),
        _ => false,
    };
    match statement {
        Stmt::Local(Local { pat, .. }) => {
            let mut names = Names::default();
            names.visit_pat(pat);
            !names.makes.is_disjoint(variables)
        }
        Stmt::Expr(expression, _) => match start(expression) {
            // `migrate(&pool)`, but not `spawn(work(&pool))`.
            Expr::Call(call) => call.args.iter().any(|argument| match argument {
                Expr::Reference(reference) => is_one(&reference.expr),
                _ => false,
            }),
            other => is_one(other),
        },
        _ => false,
    }
}

/// What a chain of methods, or an assignment, begins with.
fn start(expression: &Expr) -> &Expr {
    match expression {
        Expr::MethodCall(call) => start(&call.receiver),
        Expr::Await(of) => start(&of.base),
        Expr::Try(of) => start(&of.expr),
        Expr::Assign(assign) => start(&assign.left),
        Expr::Field(field) => start(&field.base),
        other => other,
    }
}

/// The variables that a function makes, its parameters included.
pub(super) fn made_in(item: &ItemFn) -> BTreeSet<String> {
    let mut names = Names::default();
    names.visit_item_fn(item);
    names.makes
}

/// The first names of all paths in a file.
pub(super) fn named_in(module: &Module) -> BTreeSet<String> {
    let mut names = Names::default();
    for item in &module.items {
        names.visit_item(item);
    }
    let paths = names.paths.iter().map(first);
    paths.chain(names.words.iter().cloned()).collect()
}

fn first(path: &Path) -> String {
    path.segments[0].ident.to_string()
}

/// Collects names.
#[derive(Default)]
pub(super) struct Names {
    makes: BTreeSet<String>,
    words: BTreeSet<String>,
    paths: Vec<Path>,
    is_command_line: bool,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_path(&mut self, path: &'ast Path) {
        self.paths.push(path.clone());
        visit::visit_path(self, path);
    }

    fn visit_pat_ident(&mut self, pat: &'ast PatIdent) {
        self.makes.insert(pat.ident.to_string());
        visit::visit_pat_ident(self, pat);
    }

    fn visit_macro(&mut self, of: &'ast Macro) {
        add_words(&of.tokens, &mut self.words);
        visit::visit_macro(self, of);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func {
            let last = path.path.segments.last();
            self.is_command_line |= call.args.is_empty()
                && last.is_some_and(|last| last.ident == "parse" || last.ident == "args");
        }
        visit::visit_expr_call(self, call);
    }
}

fn add_words(tokens: &TokenStream, words: &mut BTreeSet<String>) {
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(ident) => drop(words.insert(ident.to_string())),
            TokenTree::Group(group) => add_words(&group.stream(), words),
            TokenTree::Literal(literal) => words.extend(captured(&literal.to_string())),
            TokenTree::Punct(_) => {}
        }
    }
}

/// The names in braces in a text, as `format!("{name}")` has them.
fn captured(text: &str) -> impl Iterator<Item = String> {
    text.split('{').skip(1).filter_map(|after| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let name = &after[..after.find(|c| !is_part(c))?];
        name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            .then(|| name.to_owned())
    })
}
