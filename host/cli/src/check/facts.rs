//! What a piece of code does that the dev server does itself, or that ends with a generation.

use syn::{
    Expr, ExprCall, ExprMethodCall, Item, ItemMacro,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::{Finding, calls::Body};
use crate::{project::Project, sources::Module};

const SOCKET: &str = "The dev server owns the socket and serves the router: bind and serve in `main`, which calls this function.";
const LOG: &str = "The dev server shows the app's lines with its own log, as RUST_LOG says: in development this does nothing.";
const POOL: &str = "Each reload makes a new one, which ends with its generation. Make the pool in the function that returns the router, and pass it on as state.";
const ADDED: &str = "The dev server does not run `main`: add this in the library's function, so that it is there in development.";
const MIGRATED: &str = "The dev server does not run `main`, and applies SQL files only: migrate in the library's function, so that the tables are there in development.";
const SPAWNED: &str = "The dev server does not run `main`: start the task in the library's function if the app needs it in development.";

/// Types that hold connections.
const POOLS: [&str; 6] = [
    "Pool",
    "PgPool",
    "DatabaseConnection",
    "DbConn",
    "Connection",
    "Client",
];

/// What must not run when the router is built, or does nothing then.
pub(crate) fn in_library(project: &Project, body: &Body<'_>) -> Vec<Finding> {
    let mut calls = Calls::of(body.module);
    calls.visit_block(body.block);
    let finding = |call: Call| {
        let full = call.path.join("::");
        let advice = match (full.as_str(), call.is_method) {
            ("axum::serve" | "axum_server::bind" | "axum_server::from_tcp", false) => SOCKET,
            (path, false) if path.ends_with("TcpListener::bind") => SOCKET,
            ("env_logger::init" | "console_subscriber::init", false) => LOG,
            (path, false) if path.ends_with("set_global_default") => LOG,
            // `tracing_subscriber::fmt().init()`, or without the method.
            (path, _) if path.starts_with("tracing_subscriber::") && call.name == "init" => LOG,
            _ => return None,
        };
        Some(Finding {
            place: format!("{}:{}", project.shown(&body.module.file), call.line),
            what: format!("`{}` in `{}`", call.shown(), body.name),
            advice,
            must_change: advice != LOG,
        })
    };
    calls.found.into_iter().filter_map(finding).collect()
}

/// Connections that no generation hands to the next.
pub(crate) fn statics(project: &Project, module: &Module) -> Vec<Finding> {
    let finding = |(what, line): (String, usize)| Finding {
        place: format!("{}:{line}", project.shown(&module.file)),
        what,
        advice: POOL,
        must_change: false,
    };
    let found = module.items.iter().filter_map(|item| match item {
        Item::Static(item) => holds_pool(&item.ty).then(|| {
            let of = item.ty.span().source_text().unwrap_or_default();
            (format!("`static {}: {of}`", item.ident), line(item))
        }),
        Item::Macro(ItemMacro { mac, .. }) => {
            let name = mac.path.segments.last()?.ident.to_string();
            let is_static = matches!(name.as_str(), "lazy_static" | "thread_local");
            (is_static && words(&mac.tokens.to_string()).any(is_pool))
                .then(|| (format!("`{name}!` with a pool"), line(mac)))
        }
        _ => None,
    });
    found.map(finding).collect()
}

/// What runs in production only.
pub(crate) fn in_binary(project: &Project, root: &Module) -> Vec<Finding> {
    let mut found = Vec::new();
    for module in root.all() {
        let mut calls = Calls::of(module);
        for item in &module.items {
            calls.visit_item(item);
        }
        for call in calls.found {
            let is_added = call.is_method
                && matches!(
                    call.name.as_str(),
                    "layer" | "route" | "nest" | "fallback" | "nest_service" | "fallback_service"
                );
            let advice = match &call.path[..] {
                _ if is_added => ADDED,
                _ if call.is_method => continue,
                [tokio, spawn] if tokio == "tokio" && spawn == "spawn" => SPAWNED,
                // SeaORM's, which are code.
                [.., migrator, up] if migrator == "Migrator" && up == "up" => MIGRATED,
                _ => continue,
            };
            found.push(Finding {
                place: format!("{}:{}", project.shown(&module.file), call.line),
                what: format!("`{}`", call.shown()),
                advice,
                must_change: false,
            });
        }
    }
    found
}

fn line(of: &impl Spanned) -> usize {
    of.span().start().line
}

fn holds_pool(of: &syn::Type) -> bool {
    words(&of.span().source_text().unwrap_or_default()).any(is_pool)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn is_pool(word: &str) -> bool {
    POOLS.contains(&word)
}

/// A call: of a function by its path, or of a method on a value that a call of a path has made.
struct Call {
    path: Vec<String>,
    name: String,
    line: usize,
    is_method: bool,
}

impl Call {
    fn shown(&self) -> String {
        match self.is_method {
            true => format!(".{}()", self.name),
            false => format!("{}()", self.path.join("::")),
        }
    }
}

/// The calls in a piece of code.
struct Calls<'a> {
    module: &'a Module,
    found: Vec<Call>,
}

impl<'a> Calls<'a> {
    fn of(module: &'a Module) -> Self {
        Self {
            module,
            found: Vec::new(),
        }
    }

    /// The path at the start of a chain of methods.
    fn start(&self, of: &Expr) -> Vec<String> {
        match of {
            Expr::MethodCall(call) => self.start(&call.receiver),
            Expr::Call(call) => self.start(&call.func),
            Expr::Await(of) => self.start(&of.base),
            Expr::Try(of) => self.start(&of.expr),
            Expr::Path(path) => self.module.in_full(&path.path),
            _ => Vec::new(),
        }
    }
}

impl<'ast> Visit<'ast> for Calls<'_> {
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func {
            let path = self.module.in_full(&path.path);
            self.found.push(Call {
                name: path.last().cloned().unwrap_or_default(),
                path,
                line: line(call),
                is_method: false,
            });
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.found.push(Call {
            path: self.start(&call.receiver),
            name: call.method.to_string(),
            line: call.method.span().start().line,
            is_method: true,
        });
        visit::visit_expr_method_call(self, call);
    }
}
