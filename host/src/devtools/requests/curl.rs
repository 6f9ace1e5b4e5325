//! A request as a command that sends it again.
//!
//! Not masked: it would not work. The page shows none of it before the user asks.

use axum::http::header;

use crate::server::Answered;

/// What curl and the connection decide themselves.
const LEFT_OUT: [header::HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::ACCEPT_ENCODING,
];

/// The command for a POSIX shell. `host` is where the client has found this server.
pub(super) fn command(request: &Answered, host: &str) -> String {
    let info = &request.info;
    let url = quoted(&format!("http://{host}{}", info.target()));
    let mut lines = vec![format!("curl -i -X {} {url}", info.method)];
    for (name, value) in info.unmasked() {
        if !LEFT_OUT.contains(name) {
            let value = String::from_utf8_lossy(value.as_bytes());
            lines.push(format!("-H {}", quoted(&format!("{name}: {value}"))));
        }
    }
    let (body, is_whole) = request.bodies.request.so_far();
    let mut note = String::new();
    match String::from_utf8(body) {
        Ok(body) if body.is_empty() => {}
        Ok(body) if is_whole => lines.push(format!("--data-raw {}", quoted(&body))),
        _ => {
            note =
                "# The body is not text or too long to be kept: add it with --data-binary @FILE\n"
                    .to_owned()
        }
    }
    format!("{note}{}\n", lines.join(" \\\n  "))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
