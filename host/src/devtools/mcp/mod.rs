//! `/__dev/mcp`: the dev server for coding agents, by the Model Context Protocol.
//!
//! Speaks streamable HTTP without sessions: each message is answered for itself, so nothing has to be kept or released.
//! Shows what the other pages show, in their shape; works while the build is broken. No code of the app runs here.

// What a tool is.
mod tool;

// The tools, in groups.
mod database;
mod live;
mod logs;
mod requests;
mod send;
mod status;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::{router::tool::ToolRouter, tool::ToolCallContext},
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use tokio_util::sync::CancellationToken;

use super::{buttons::is_same_origin, status::Sources};
use crate::reload::Cookies;

/// What a model reads before it sees any tool.
const INSTRUCTIONS: &str = "\
The dev server of this project: it watches the sources, builds them, and replaces the running app without a restart. \
After you have saved a file, call wait_until_live: it says whether the new code answers, or what the compiler says \
against it. Do not start, stop or restart the app, and do not run cargo build to find errors. A failed save changes \
nothing: the code before it goes on serving. To see what a request did (its SQL, waits, log and bodies), send it with \
send_request, or find it with requests, and read it with request.";

/// What the tools work on.
#[derive(Clone)]
pub(super) struct Mcp {
    pub(super) sources: Sources,
    pub(super) cookies: Cookies,
    /// The host ends, or makes room for the next one.
    pub(super) stop: CancellationToken,
}

#[derive(Clone)]
struct Server {
    mcp: Mcp,
    tools: Arc<ToolRouter<Mcp>>,
}

/// Who may come here at all is decided by the [gateway](crate::server::Gateway), for all of `/__dev`.
pub(super) fn routes(mcp: Mcp) -> Router {
    let groups = [
        live::tools(),
        status::tools(),
        requests::tools(),
        logs::tools(),
        send::tools(),
        database::tools(),
    ];
    let mut tools = ToolRouter::new();
    for tool in groups.into_iter().flatten() {
        tools.add_route(tool);
    }
    let server = Server {
        mcp,
        tools: Arc::new(tools),
    };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts(); // names that the user has allowed are known to the gateway alone
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::<NeverSessionManager>::default(),
        config,
    );
    Router::new()
        .route_service("/__dev/mcp", service)
        .layer(middleware::from_fn(only_same_origin))
}

/// A page of another site can send requests to a local port.
async fn only_same_origin(request: Request, next: Next) -> Response {
    match is_same_origin(request.headers()) {
        true => next.run(request).await,
        false => {
            let why = "refused: this request comes from another site\n";
            (StatusCode::FORBIDDEN, why).into_response()
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let server = Implementation::new("host dev", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(server)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.list_all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = ToolCallContext::new(&self.mcp, request, context);
        self.tools.call(call).await
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.get(name).cloned()
    }
}
