//! One tool: what a model reads of it, and what it does.
//!
//! Its answer is JSON, or a sentence about why there is none. It ends with the client that has asked, and with the host.

use rmcp::{
    handler::server::{
        router::tool::ToolRoute,
        tool::{ToolCallContext, parse_json_object, schema_for_input},
    },
    model::{CallToolResult, ContentBlock, Tool, ToolAnnotations},
    schemars::{self, JsonSchema},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::Mcp;

pub(super) type Answer = Result<Value, String>;

/// What a tool may change, as far as a client wants to know before it lets a model call it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// Whatever the app does.
    OfTheApp,
}

/// The arguments of a tool that has none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The descriptions of arguments are the docs of the fields of `P`.
pub(super) fn tool<P, A>(
    (name, effect): (&'static str, Effect),
    description: &'static str,
    run: fn(Mcp, P) -> A,
) -> ToolRoute<Mcp>
where
    P: DeserializeOwned + JsonSchema + Send + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let arguments = schema_for_input::<P>().expect("arguments are structs");
    let reads = effect == Effect::None;
    let annotations = ToolAnnotations::new()
        .read_only(reads)
        .destructive(!reads)
        .open_world(false);
    let tool = Tool::new(name, description, arguments).with_annotations(annotations);
    ToolRoute::new_dyn(tool, move |call: ToolCallContext<'_, Mcp>| {
        Box::pin(async move {
            let arguments = parse_json_object::<P>(call.arguments.unwrap_or_default())?;
            let mcp = call.service.clone();
            let (gone, stop) = (call.request_context.ct, mcp.stop.clone());
            let answer = tokio::select! {
                answer = run(mcp, arguments) => answer,
                () = gone.cancelled() => Err("no longer wanted".to_owned()),
                () = stop.cancelled() => Err("the dev server ends, or restarts because its own code has changed: call again in a moment".to_owned()),
            };
            Ok(match answer {
                Ok(value) => CallToolResult::success(vec![ContentBlock::text(value.to_string())]),
                Err(why) => CallToolResult::error(vec![ContentBlock::text(why)]),
            }
            .into())
        })
    })
}
