//! An app that is only a binary: what its owner has to move into a library, with files and lines.

use cargo_metadata::Package;
use syn::{
    Expr, ExprCall, Item, ItemFn, Local, Pat,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::{
    failure::Failure,
    project::{Project, binaries},
    sources::Module,
};

/// A piece of code that builds a router.
struct Piece {
    what: String,
    file: String,
    lines: (usize, usize),
    /// Whether it is a part of a function, and not one.
    is_part: bool,
}

/// The instructions for a package without a library; `None` if its binaries build no router.
pub(crate) fn instructions(
    project: &Project,
    package: &Package,
) -> Result<Option<String>, Failure> {
    for binary in binaries(package) {
        let root = Module::read(binary.src_path.as_std_path())?;
        let pieces = pieces(project, &root);
        if !pieces.is_empty() {
            return Ok(Some(text(project, package, &root, &pieces)));
        }
    }
    Ok(None)
}

fn text(project: &Project, package: &Package, root: &Module, pieces: &[Piece]) -> String {
    let main = project.shown(&root.file);
    let library = project.shown(&root.file.with_file_name("lib.rs"));
    let krate = package.name.replace('-', "_");
    let mut steps = Vec::new();
    let moved: String = moved(root)
        .into_iter()
        .map(|(what, at)| format!("\n       {}  {what}", place(&main, at)))
        .collect();
    if !moved.is_empty() {
        steps.push(format!("Move these lines to a new file {library}:{moved}"));
    }
    for Piece {
        what,
        file,
        lines,
        is_part,
    } in pieces
    {
        let place = place(file, *lines);
        steps.push(match is_part {
            true => format!(
                "Make a function `pub fn router() -> axum::Router` in {library} of {what} ({place}), and pass in what it uses"
            ),
            false => format!(
                "Move {what} ({place}) to {library}, and make it `pub`; it returns the Router"
            ),
        });
    }
    steps.push(format!(
        "In {main}, call `{krate}::router()` and serve what it returns"
    ));
    let steps: String = (1..)
        .zip(steps)
        .map(|(number, step)| format!("\n  {number}. {step}"))
        .collect();
    format!(
        "`{}` is only a binary, and the dev server loads a library. Move what builds the router into one:\n{steps}\n\nThen run `hot init` again.",
        package.name
    )
}

/// The modules in files of their own, which hold the handlers, and the types that these share, with their lines.
fn moved(root: &Module) -> Vec<(String, (usize, usize))> {
    let what = |item: &Item| match item {
        Item::Mod(item) if item.content.is_none() => Some(format!("mod {};", item.ident)),
        Item::Struct(item) => Some(format!("struct {}", item.ident)),
        Item::Enum(item) => Some(format!("enum {}", item.ident)),
        Item::Type(item) => Some(format!("type {}", item.ident)),
        Item::Impl(item) => Some(format!("impl {}", item.self_ty.span().source_text()?)),
        _ => None,
    };
    let items = root.items.iter();
    items
        .filter_map(|item| Some((what(item)?, lines(item))))
        .collect()
}

fn place(file: &str, (first, last): (usize, usize)) -> String {
    match first == last {
        true => format!("{file}:{first}"),
        false => format!("{file}:{first}-{last}"),
    }
}

/// The functions at the root that build a router, and the statements of `main` that do.
fn pieces(project: &Project, root: &Module) -> Vec<Piece> {
    let file = project.shown(&root.file);
    let mut pieces = Vec::new();
    for item in &root.items {
        let Item::Fn(item) = item else { continue };
        let mut routers = Routers::default();
        routers.visit_item_fn(item);
        if !routers.found {
            continue;
        }
        let name = item.sig.ident.to_string();
        if name != "main" {
            pieces.push(Piece {
                what: format!("`fn {name}`"),
                file: file.clone(),
                lines: lines(item),
                is_part: false,
            });
            continue;
        }
        for (name, lines) in routers.locals {
            pieces.push(Piece {
                what: format!("`let {name} = …`"),
                file: file.clone(),
                lines,
                is_part: true,
            });
        }
    }
    if pieces.is_empty() {
        // In a module: it moves with its `mod` line.
        let inside = root.all().into_iter().skip(1).find_map(|module| {
            module.items.iter().find_map(|item| match item {
                Item::Fn(item) if builds_router(item) => Some((module, item)),
                _ => None,
            })
        });
        pieces.extend(inside.map(|(module, item)| Piece {
            what: format!("what `main` does with `fn {}`", item.sig.ident),
            file: project.shown(&module.file),
            lines: lines(item),
            is_part: true,
        }));
    }
    pieces
}

fn lines(of: &impl Spanned) -> (usize, usize) {
    let span = of.span();
    (span.start().line, span.end().line)
}

fn builds_router(item: &ItemFn) -> bool {
    let mut routers = Routers::default();
    routers.visit_item_fn(item);
    routers.found
}

/// Finds `Router::new()`, and the `let` statements that it is in.
#[derive(Default)]
struct Routers {
    found: bool,
    locals: Vec<(String, (usize, usize))>,
}

impl<'ast> Visit<'ast> for Routers {
    fn visit_local(&mut self, local: &'ast Local) {
        let before = std::mem::take(&mut self.found);
        visit::visit_local(self, local);
        if let (true, Pat::Ident(name)) = (self.found, &local.pat) {
            self.locals.push((name.ident.to_string(), lines(local)));
        }
        self.found |= before;
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func {
            let names: Vec<String> = path
                .path
                .segments
                .iter()
                .map(|s| s.ident.to_string())
                .collect();
            self.found |=
                matches!(&names[..], [.., router, new] if router == "Router" && new == "new");
        }
        visit::visit_expr_call(self, call);
    }
}
