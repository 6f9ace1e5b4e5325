//! What a reload must keep, in a real browser: a pending navigation, typed text, and windows beyond the sixth.

use fantoccini::Locator;

use crate::support::{Checkout, Chromium, Host, eventually, lab};

/// A heading and what belongs under it, in Rust's raw strings. `/held` waits for a file `go`; `/note/NAME` leaves a
/// file; a generation does not start while there is a file `slow`.
fn lab(heading: &str, body: &str) -> String {
    let page = format!("<!doctype html><html lang='en'><title>Lab</title><h1>{heading}</h1>{body}");
    format!(
        r##"{{
            while std::path::Path::new("slow").exists() {{ std::thread::sleep(std::time::Duration::from_millis(2)) }}
            const PAGE: &str = r#"{page}"#;
            Router::new()
                .route("/lab", get(async || Html(PAGE)))
                .route("/held", get(async || {{ gate("go").await; Html(PAGE) }}))
                .route("/empty", get(async || StatusCode::NO_CONTENT))
                .route("/note/{{name}}", post(async |Path(name): Path<String>| std::fs::write(name, "").unwrap()))
        }}"##
    )
}

/// With `?click` the page follows its link while a save is loading; not the test, since WebDriver waits for the page
/// that a click leads to. With `?stop` it stops once the save is live. With `?hasty` no timer waits.
const LINKS: &str = "<a id='held' href='/held'>Held</a> <a id='empty' href='/empty'>Empty</a><script>
    const later = setTimeout;
    const has = (name) => location.search.includes(name);
    if (has('hasty')) window.setTimeout = (act) => later(act);
    addEventListener('beforeunload', () => navigator.sendBeacon(`/note/left${location.search}`.replace('?', '-')));
    let clicked = false;
    new EventSource('/__dev/events').onmessage = async ({ data }) => {
        const { phase, generation } = JSON.parse(data);
        if (phase === 'loading' && has('click')) {
            clicked = true;
            document.querySelector('#held').click();
        }
        if (phase !== 'active' || !clicked) return;
        await fetch(`/note/live-${generation}`, { method: 'POST' });
        if (has('stop')) window.stop();
    };
</script>";

fn shows(heading: &str) -> String {
    format!(
        "document.readyState === 'complete' && document.querySelector('h1')?.textContent === '{heading}'"
    )
}

#[tokio::test]
async fn a_click_during_a_build_leads_to_the_new_code() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(lab("One", LINKS)));
    let patient = [
        ("HOST_HOLD_MS", "600000"),
        ("APP_START_TIMEOUT_MS", "600000"),
    ];
    let host = Host::start_in(checkout, &patient).await;
    let noted = async |name: &str| {
        let file = host.checkout.path(name);
        eventually(name, async || std::fs::remove_file(&file).ok()).await;
    };
    // Returns once the page that has clicked has heard that the save is live.
    let click_during_save = async |page: &str, heading: &str, generation: u64| {
        host.checkout.write("slow", "");
        host.checkout.write_lab(&lab(heading, LINKS));
        noted(&format!("left-{page}")).await;
        std::fs::remove_file(host.checkout.path("slow")).unwrap();
        noted(&format!("live-{generation}")).await;
    };
    browser.open(&host.url("/lab?click")).await;
    click_during_save("click", "Two", 2).await;
    host.checkout.write("go", "");
    let arrived = format!("location.pathname === '/held' && {}", shows("Two"));
    browser.until("the page behind the link", &arrived).await;
    std::fs::remove_file(host.checkout.path("go")).unwrap();

    // Stopped, the navigation leads nowhere: the page reloads after all.
    browser.open(&host.url("/lab?click,stop")).await;
    click_during_save("click,stop", "Three", 3).await;
    let reloaded = format!("location.pathname === '/lab' && {}", shows("Three"));
    browser.until("the reload", &reloaded).await;

    // No browser tells that the answer to a link was empty.
    browser.open(&host.url("/lab?hasty")).await;
    browser.click("#empty").await;
    noted("left-hasty").await;
    host.checkout.write_lab(&lab("Four", LINKS));
    browser.until("the reload", &shows("Four")).await;
    browser.close().await;
}

/// The server's values of a generation.
fn form(value: &str, more: &str) -> String {
    format!(
        "<style>#part {{ height: 50px; overflow: auto }}</style>{more}
        <form action='/a'><input name='text' value='{value}'><input name='other' value='{value}'>
        <input name='password' type='password'><input name='card' autocomplete='cc-number'>
        <textarea name='long'>{value}</textarea>
        <input name='tick' type='checkbox'><input name='pick' type='radio' value='a' checked><input name='pick' type='radio' value='b'>
        <select name='choice'><option>first</option><option>second</option></select></form>
        <form action='/b'><input name='text'></form>
        <div id='rich' contenteditable>rich</div><div id='part'><p style='height:900px'>part</p></div>
        <p style='height:3000px'>tall</p>
        <script>window.heard = []; addEventListener('input', ({{ target, isTrusted }}) => isTrusted || heard.push(target.name || target.id))</script>"
    )
}

#[tokio::test]
async fn what_is_typed_chosen_focused_and_scrolled_outlives_a_reload_and_even_a_panic() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let host = Host::with_built_lab(lab!(lab("One", &form("one", "")))).await;
    browser.open(&host.url("/lab")).await;
    for (css, keys) in [
        ("form[action='/a'] [name=text]", " typed"),
        ("form[action='/b'] [name=text]", "second form"),
        ("[name=password]", "secret"),
        ("[name=card]", "4111"),
        ("#rich", " text"),
        ("[name=choice]", "second"),
        ("[name=long]", " typed"),
    ] {
        let field = browser.client.find(Locator::Css(css)).await.unwrap();
        field.send_keys(keys).await.unwrap();
    }
    browser.click("[name=tick]").await;
    browser.click("[name=pick][value=b]").await;
    browser
        .value("[document.querySelector('[name=long]').focus(), document.querySelector('[name=long]').setSelectionRange(1, 3), \
            document.querySelector('#part').scrollTo(0, 100), scrollTo(0, 700)]")
        .await;

    host.checkout.write_lab(&lab("Two", "").replacen(
        "Html(PAGE)",
        "-> Html<&'static str> { panic!(\"two\") }",
        1,
    ));
    browser.until("the panic", &shows("two")).await;
    // Another paragraph: places that are counted from the top have moved.
    host.checkout
        .write_lab(&lab("Three", &form("three", "<p>more</p>")));
    let back = format!("{} && scrollY === 700", shows("Three"));
    browser.until("the form, at its place", &back).await;
    let found = browser
        .value(
            "(() => {
                const value = (css) => document.querySelector(css).value;
                const long = document.querySelector('[name=long]');
                return {
                    texts: [value(\"form[action='/a'] [name=text]\"), value(\"form[action='/b'] [name=text]\"), value('[name=long]')],
                    rich: document.querySelector('#rich').textContent,
                    chosen: [document.querySelector('[name=tick]').checked, value('[name=pick]:checked'), value('[name=choice]')],
                    part: document.querySelector('#part').scrollTop,
                    focus: [document.activeElement.name, long.selectionStart, long.selectionEnd],
                    untouched: value('[name=other]'),
                    secret: [value('[name=password]'), value('[name=card]')],
                    heard: heard.sort(),
                };
            })()",
        )
        .await;
    assert_eq!(
        found,
        serde_json::json!({
            "texts": ["one typed", "second form", "one typed"],
            "rich": "rich text",
            "chosen": [true, "b", "second"],
            "part": 100,
            "focus": ["long", 1, 3],
            "untouched": "three",
            "secret": ["", ""],
            "heard": ["choice", "long", "pick", "rich", "text", "text", "tick"],
        })
    );
    browser.close().await;
}

#[tokio::test]
async fn eight_windows_share_one_stream_and_follow_a_save_whichever_is_closed() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let lab = |heading| {
        lab(heading, "").replace(
            "Html(PAGE)",
            "([(\"content-security-policy\", \"default-src 'self'; worker-src 'none'\")], Html(PAGE))",
        )
    };
    let host = Host::with_lab(&lab("One")).await;
    let mut windows = vec![browser.client.window().await.unwrap()];
    for number in 0..8 {
        if number > 0 {
            let window = browser.client.new_window(false).await.unwrap().handle;
            browser
                .client
                .switch_to_window(window.clone())
                .await
                .unwrap();
            windows.push(window);
        }
        browser.open(&host.url(&format!("/lab?{number}"))).await;
        let visible = format!("!document.hidden && {}", shows("One"));
        browser.until("a visible page", &visible).await;
    }
    host.checkout.write_lab(&lab("Two"));
    for window in &windows {
        browser
            .client
            .switch_to_window(window.clone())
            .await
            .unwrap();
        browser.until("every window to follow", &shows("Two")).await;
    }
    // The one with the stream is among these.
    for window in windows.drain(..6) {
        browser.client.switch_to_window(window).await.unwrap();
        browser.client.close_window().await.unwrap();
    }
    host.checkout.write_lab(&lab("Three"));
    for window in windows {
        browser.client.switch_to_window(window).await.unwrap();
        browser.until("the others to follow", &shows("Three")).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_page_whose_policy_keeps_the_script_out_is_reported_once() {
    let routes = |policy: &str| {
        format!(
            "Router::new().route(\"/lab\", get(async || ([(\"content-security-policy\", \"{policy}\")], Html(\"<body>\"))))"
        )
    };
    let host = Host::with_lab(&routes("default-src 'none'")).await;
    let unreloadable = async || host.status().await.0["unreloadable"].clone();
    assert!(unreloadable().await.is_null());
    for _ in 0..2 {
        host.text("/lab").await;
    }
    let found = unreloadable().await;
    assert_eq!(found["path"], "/lab");
    assert_eq!(found["because"], "default-src 'none'");
    let told = "/lab does not reload by itself: `default-src 'none'`";
    assert_eq!(host.log().matches(told).count(), 1, "{}", host.log());
    if let Some(browser) = Chromium::start().await {
        browser.open(&host.url("/__dev")).await;
        let shown =
            "document.querySelector('#warnings').textContent.includes(\"default-src 'none'\")";
        browser.until("the page by name", shown).await;
        browser.close().await;
    }
    host.checkout.write_lab(&routes("default-src 'self'"));
    host.until_generation(2).await;
    host.text("/lab").await;
    assert!(unreloadable().await.is_null(), "it reloads now");
}
