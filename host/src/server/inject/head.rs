//! Where in a page the first script may go: before those of the page itself.

/// The beginnings of tags after which it may, the best first. What a page leaves out the browser adds.
const TAGS: [&[u8]; 3] = [b"<head", b"<html", b"<!doctype"];

/// Puts `tag` into the beginning of a page; `None` if there is no place for it.
pub(super) fn put(page: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
    let place = TAGS.iter().find_map(|name| after(page, name))?;
    let (before, rest) = page.split_at(place);
    Some([before, tag, rest].concat())
}

/// Behind the first tag of this name.
fn after(page: &[u8], name: &[u8]) -> Option<usize> {
    let is_here = |window: &[u8]| {
        let (tag, next) = window.split_at(name.len());
        tag.eq_ignore_ascii_case(name) && (next[0] == b'>' || next[0].is_ascii_whitespace())
    };
    let start = page.windows(name.len() + 1).position(is_here)? + name.len();
    // The end of a tag may be quoted in the value of an attribute.
    let mut quote = None;
    let end = page[start..].iter().position(|byte| {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            (None, b'>') => return true,
            _ => {}
        }
        false
    })?;
    Some(start + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_goes_before_those_of_the_page() {
        for (page, expected) in [
            (
                "<!doctype html><html><HEAD lang='>'><script>",
                Some("<!doctype html><html><HEAD lang='>'>#<script>"),
            ),
            (
                "<!DOCTYPE html><html lang=\"en\"><header>",
                Some("<!DOCTYPE html><html lang=\"en\">#<header>"),
            ),
            ("<!doctype html><p>", Some("<!doctype html>#<p>")),
            ("<head", None),
            ("<html lang=\"", None),
            ("<p>", None),
            ("", None),
        ] {
            let put = put(page.as_bytes(), b"#").map(|page| String::from_utf8(page).expect("text"));
            assert_eq!(put.as_deref(), expected, "{page}");
        }
    }
}
