//! Which functions of a library run when its router is built: the one that returns it, and those that it calls.
//!
//! By names, as far as paths say them. Methods of values are not followed, since their types are not known.

use std::collections::BTreeSet;

use syn::{
    Block, Expr, ExprCall, ImplItem, Item, Type,
    visit::{self, Visit},
};

use crate::{functions::Function, sources::Module};

/// A function with a body.
pub(crate) struct Body<'a> {
    pub(crate) module: &'a Module,
    /// The type whose `impl` it is in, or the module.
    owner: String,
    pub(crate) name: String,
    line: usize,
    pub(crate) block: &'a Block,
}

/// The function and what it calls, in this library.
pub(crate) fn reached<'a>(root: &'a Module, function: &Function) -> Vec<Body<'a>> {
    let mut rest: Vec<Body<'a>> = root.all().into_iter().flat_map(bodies).collect();
    let mut reached: Vec<Body<'a>> = Vec::new();
    let first = |body: &Body<'_>| body.module.file == function.file && body.line == function.line;
    let mut open: Vec<Body<'a>> = rest.extract_if(.., |body| first(body)).collect();
    while let Some(body) = open.pop() {
        let called = called(&body);
        open.extend(rest.extract_if(.., |other| {
            called.iter().any(|path| other.is_called(&body, path))
        }));
        reached.push(body);
    }
    reached
}

impl Body<'_> {
    fn is_called(&self, by: &Body<'_>, path: &[String]) -> bool {
        match path {
            [name] => *name == self.name && self.owner == by.owner,
            [.., owner, name] if *name == self.name => match owner.as_str() {
                "Self" => self.owner == by.owner,
                "self" | "super" => true,
                "crate" => self.module.path.is_empty(),
                owner => owner == self.owner,
            },
            _ => false,
        }
    }
}

fn bodies(module: &Module) -> Vec<Body<'_>> {
    let mut found = Vec::new();
    let mut add = |owner: &str, name: &syn::Ident, block| {
        found.push(Body {
            module,
            owner: owner.to_owned(),
            name: name.to_string(),
            line: name.span().start().line,
            block,
        });
    };
    let of_module = module.path.last().map_or("", String::as_str);
    for item in &module.items {
        match item {
            Item::Fn(item) => add(of_module, &item.sig.ident, &*item.block),
            Item::Impl(item) => {
                let owner = match &*item.self_ty {
                    Type::Path(path) => {
                        path.path.segments.last().map(|last| last.ident.to_string())
                    }
                    _ => None,
                };
                for inner in &item.items {
                    if let ImplItem::Fn(inner) = inner {
                        add(
                            owner.as_deref().unwrap_or_default(),
                            &inner.sig.ident,
                            &inner.block,
                        );
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// The full paths of what a function calls.
fn called(body: &Body<'_>) -> BTreeSet<Vec<String>> {
    struct Calls<'a> {
        module: &'a Module,
        found: BTreeSet<Vec<String>>,
    }
    impl<'ast> Visit<'ast> for Calls<'_> {
        fn visit_expr_call(&mut self, call: &'ast ExprCall) {
            if let Expr::Path(path) = &*call.func {
                self.found.insert(self.module.in_full(&path.path));
            }
            visit::visit_expr_call(self, call);
        }
    }
    let mut calls = Calls {
        module: body.module,
        found: BTreeSet::new(),
    };
    calls.visit_block(body.block);
    calls.found
}
