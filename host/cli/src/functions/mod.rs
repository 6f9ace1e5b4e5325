//! The functions of a library that return a router, by the paths under which another crate can call them.

use std::{collections::BTreeMap, path::PathBuf};

use syn::{
    FnArg, GenericArgument, Item, ItemFn, Pat, PathArguments, ReturnType, Type, Visibility,
    spanned::Spanned,
};

use crate::sources::{Module, names_of};

/// How far re-exports are followed.
const DEPTH: usize = 8;

/// A public function that returns a router whose state is applied.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// From the crate's root: `routes::router`.
    pub(crate) path: String,
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) is_async: bool,
    pub(crate) is_fallible: bool,
    /// Whether it is `shared::routing::Router`.
    pub(crate) is_ours: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// The type as written, without `&`.
    pub(crate) shown: String,
    /// The type's full path, as far as `use` lines say it.
    pub(crate) path: Vec<String>,
    pub(crate) by_reference: bool,
}

/// All of a crate, those at its root first.
pub(crate) fn find(root: &Module) -> Vec<Function> {
    let mut found = Vec::new();
    walk(root, root, &[], 0, &mut found);
    // One function may have several paths: the shortest is the one that is meant.
    found.sort_by_key(|function| (function.path.matches("::").count(), function.path.clone()));
    let mut places = BTreeMap::new();
    found.retain(|function| {
        let place = (function.file.clone(), function.line);
        places.insert(place, ()).is_none()
    });
    found
}

/// A function that would do, but for one thing.
pub(crate) struct Near {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) lacks: &'static str,
}

/// The function that a user most likely means, where [`find`] finds none.
pub(crate) fn nearly(root: &Module) -> Option<Near> {
    root.all().into_iter().find_map(|module| {
        module.items.iter().find_map(|item| {
            let Item::Fn(item) = item else { return None };
            let ReturnType::Type(_, returned) = &item.sig.output else {
                return None;
            };
            let router = argument_of(returned, "Result").unwrap_or(returned);
            let lacks = match router_in(module, router) {
                Some(_) if is_public(&item.vis) => {
                    "make its module public, or pass it on with `pub use`"
                }
                Some(_) => "make it `pub`",
                None if argument_of(router, "Router").is_some() => {
                    "give it its state with `.with_state(…)`, so that it returns `axum::Router`"
                }
                None => return None,
            };
            Some(Near {
                name: item.sig.ident.to_string(),
                file: module.file.clone(),
                line: item.sig.ident.span().start().line,
                lacks,
            })
        })
    })
}

fn walk(
    root: &Module,
    module: &Module,
    prefix: &[String],
    depth: usize,
    found: &mut Vec<Function>,
) {
    if depth > DEPTH {
        return;
    }
    let with = |name: &str| [prefix, &[name.to_owned()]].concat();
    for item in &module.items {
        match item {
            Item::Fn(item) if is_public(&item.vis) => {
                found.extend(read(module, item, &with(&item.sig.ident.to_string())));
            }
            Item::Mod(item) if is_public(&item.vis) => {
                let name = item.ident.to_string();
                if let Some(child) = module.child(&name) {
                    walk(root, child, &with(&name), depth + 1, found);
                }
            }
            Item::Use(item) if is_public(&item.vis) => {
                for used in names_of(item) {
                    match lookup(root, module, &used.path) {
                        Some((target, None)) if used.name == "*" => {
                            walk(root, target, prefix, depth + 1, found);
                        }
                        Some((target, None)) => {
                            walk(root, target, &with(&used.name), depth + 1, found);
                        }
                        Some((target, Some(function))) => {
                            found.extend(read(target, function, &with(&used.name)));
                        }
                        None => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// What a path in `module` leads to: a module, or a function in one.
fn lookup<'a>(
    root: &'a Module,
    module: &'a Module,
    path: &[String],
) -> Option<(&'a Module, Option<&'a ItemFn>)> {
    let mut at = module;
    for (index, name) in path.iter().enumerate() {
        let is_last = index + 1 == path.len();
        at = match name.as_str() {
            "crate" => root,
            "self" => at,
            "super" => {
                let (_, above) = at.path.split_last()?;
                above.iter().try_fold(root, |at, name| at.child(name))?
            }
            name => match at.child(name) {
                Some(child) => child,
                None if is_last => return function_in(at, name).map(|found| (at, Some(found))),
                None => return None,
            },
        };
    }
    Some((at, None))
}

fn function_in<'a>(module: &'a Module, name: &str) -> Option<&'a ItemFn> {
    module.items.iter().find_map(|item| match item {
        Item::Fn(item) if item.sig.ident == name => Some(item),
        _ => None,
    })
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn read(module: &Module, item: &ItemFn, path: &[String]) -> Option<Function> {
    let ReturnType::Type(_, returned) = &item.sig.output else {
        return None;
    };
    let (router, is_fallible) = match argument_of(returned, "Result") {
        Some(value) => (value, true),
        None => (&**returned, false),
    };
    let of_axum = router_in(module, router)?;
    Some(Function {
        path: path.join("::"),
        file: module.file.clone(),
        line: item.sig.fn_token.span().start().line,
        parameters: parameters(module, item),
        is_async: item.sig.asyncness.is_some(),
        is_fallible,
        is_ours: !of_axum,
    })
}

/// The first type argument of `name<…>`.
fn argument_of<'a>(of: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let first = arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(argument) => Some(argument),
        _ => None,
    });
    first.filter(|_| last.ident == name)
}

/// Whether the type is axum's router, or else ours. `None` for any other type, and for a router that lacks its state.
fn router_in(module: &Module, of: &Type) -> Option<bool> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last()?;
    let full = module.in_full(&path.path);
    if full.last()? != "Router" {
        return None;
    }
    let lacks_state = match &last.arguments {
        PathArguments::None => false,
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().any(|argument| {
            !matches!(argument, GenericArgument::Type(Type::Tuple(unit)) if unit.elems.is_empty())
        }),
        PathArguments::Parenthesized(_) => true,
    };
    (!lacks_state).then(|| full[0] != "shared")
}

fn parameters(module: &Module, item: &ItemFn) -> Vec<Parameter> {
    let typed = item.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let read = |(index, typed): (usize, &syn::PatType)| {
        let (of, by_reference) = match &*typed.ty {
            Type::Reference(reference) => (&*reference.elem, true),
            of => (of, false),
        };
        let name = match &*typed.pat {
            Pat::Ident(name) => name.ident.to_string(),
            _ => format!("value{index}"),
        };
        let path = match of {
            Type::Path(path) => module.in_full(&path.path),
            _ => Vec::new(),
        };
        Parameter {
            name,
            shown: shown(of),
            path,
            by_reference,
        }
    };
    typed.enumerate().map(read).collect()
}

/// A type as it stands in the source.
fn shown(of: &Type) -> String {
    of.span()
        .source_text()
        .unwrap_or_else(|| "its type".to_owned())
}

#[cfg(test)]
mod tests;
