//! A request as a command that sends it again.
//!
//! Not masked: it would not work. The page shows none of it before the user asks.

use axum::http::header;

use crate::server::Answered;

/// What curl and the connection decide themselves.
pub(super) const LEFT_OUT: [header::HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::ACCEPT_ENCODING,
];

/// The command for a POSIX shell.
pub(super) fn command(request: &Answered) -> String {
    let info = &request.info;
    let url = quoted(&format!("http://{}{}", info.host(), info.target()));
    let method = match info.method.as_str() {
        "HEAD" => "--head".to_owned(), // with -X it would wait for a body
        method => format!("-X {}", quoted(method)),
    };
    let mut lines = vec![format!("curl -i --globoff --path-as-is {method} {url}")];
    for (name, value) in info.unmasked() {
        if !LEFT_OUT.contains(name) {
            let value = String::from_utf8_lossy(value.as_bytes());
            // `name:` would remove it.
            let header = match &*value {
                "" => format!("{name};"),
                value => format!("{name}: {value}"),
            };
            lines.push(format!("-H {}", quoted(&header)));
        }
    }
    let (body, is_whole) = request.bodies.request.so_far();
    let mut note = "";
    match String::from_utf8(body) {
        Ok(body) if is_whole && body.is_empty() => {}
        Ok(body) if is_whole => lines.push(format!("--data-raw {}", quoted(&body))),
        _ => {
            note = "# Its body is not text, too long to be kept, or was not read to its end: add it with --data-binary @FILE\n"
        }
    }
    format!("{note}{}\n", lines.join(" \\\n  "))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
