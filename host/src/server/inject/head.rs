//! Where in a page the first script may go: before those of the page itself.

/// What may stand before a page's own content, in this order. What a page leaves out the browser adds.
const TAGS: [&[u8]; 3] = [b"<!doctype", b"<html", b"<head"];

/// Puts `tag` into the beginning of a page; `None` if there is no place for it.
pub(super) fn put(page: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
    let (before, rest) = page.split_at(place(page)?);
    Some([before, tag, rest].concat())
}

/// Behind the last of these tags. Only comments may stand between them: the same text further on may be part of a string
/// or of an attribute.
fn place(page: &[u8]) -> Option<usize> {
    let mut found = None;
    let mut rest = page.strip_prefix(b"\xef\xbb\xbf").unwrap_or(page);
    loop {
        rest = rest.trim_ascii_start();
        if rest.starts_with(b"<!--") {
            let end = rest.windows(3).position(|window| window == b"-->");
            let Some(end) = end else {
                return found;
            };
            rest = &rest[end + 3..];
            continue;
        }
        let Some(end) = TAGS.iter().find_map(|name| end_of(rest, name)) else {
            return found;
        };
        rest = &rest[end..];
        found = Some(page.len() - rest.len());
    }
}

/// The end of the tag of this name that the text begins with.
fn end_of(text: &[u8], name: &[u8]) -> Option<usize> {
    let (tag, attributes) = text.split_at_checked(name.len())?;
    let next = attributes.first()?;
    if !tag.eq_ignore_ascii_case(name) || !(*next == b'>' || next.is_ascii_whitespace()) {
        return None;
    }
    // The end of a tag may be quoted in the value of an attribute.
    let mut quote = None;
    let end = attributes.iter().position(|byte| {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            (None, b'>') => return true,
            _ => {}
        }
        false
    })?;
    Some(name.len() + end + 1)
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
            (
                "\u{feff}\n<!doctype html>\n<!-- the <head isn't here -->\n<html>\n<head>\n",
                Some("\u{feff}\n<!doctype html>\n<!-- the <head isn't here -->\n<html>\n<head>#\n"),
            ),
            (
                "<!doctype html><script>const t = '<head></head>'</script>",
                Some("<!doctype html>#<script>const t = '<head></head>'</script>"),
            ),
            ("<textarea><head></textarea>", None),
            ("<!-- <head>", None),
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
