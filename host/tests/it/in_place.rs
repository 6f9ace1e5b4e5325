//! An open page after a save, in a real browser: changed where it differs, or loaded again where a script owns it.

use fantoccini::Locator;

use crate::support::{Chromium, Host};

const LAYOUT: &str = "app_lib/templates/layout.html";

/// Of this document: gone once it is loaded again.
const IS_MARKED: &str = "window.marked === true";

#[tokio::test]
async fn a_save_changes_the_open_page_where_it_differs_and_loads_again_what_a_script_owns() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let host = Host::start().await;
    browser.open(&host.url("/")).await;
    let bar = "document.documentElement.lastElementChild.shadowRoot?.querySelector('a').href";
    let first = browser.value(bar).await;
    let field = browser
        .client
        .find(Locator::Css("[name=name]"))
        .await
        .unwrap();
    field.send_keys("typed").await.unwrap();
    browser
        .value(
            "[window.marked = true, document.querySelector('[src=\"/__dev/errors.js\"]').marked = true, document.querySelector('[name=name]').setSelectionRange(1, 3)]",
        )
        .await;
    let is_kept = format!(
        "{IS_MARKED} && document.activeElement.name === 'name' && document.activeElement.value === 'typed' \
         && document.activeElement.selectionStart === 1"
    );

    // Code. Only from now on does the app read the files of this checkout.
    host.checkout
        .edit("app_lib/src/page.rs", "\"Counters\"", "\"Counted\"");
    let live = format!(
        "document.title === 'Counted' && document.querySelector('h1').textContent === 'Counted' && {is_kept} \
        && document.querySelectorAll('link[rel=stylesheet]').length === 1 \
        && [...document.querySelectorAll('[src=\"/__dev/errors.js\"]')].every(it => it.marked && it.dataset.generation === '2')"
    );
    browser.until("the new code", &live).await;
    assert_eq!(host.status().await.generation(), 2);

    // A template: no build.
    host.checkout.edit(
        LAYOUT,
        "<main>",
        "<main><p id='new'>new</p><details><summary>More</summary>more</details>",
    );
    let shown = format!("document.querySelector('#new') && {is_kept}");
    browser.until("the template", &shown).await;
    assert_eq!(host.status().await.generation(), 2);
    assert_ne!(browser.value(bar).await, first, "the bar is the new page's");

    browser.click("summary").await;

    // A stylesheet: the page is not even asked for.
    let asked = host.status().await.number("/revision");
    let requests = async || {
        let all = host.json("/__dev/requests.json").await;
        let all = all.as_array().unwrap().iter();
        all.filter(|request| request["path"] == "/").count()
    };
    let before = requests().await;
    host.checkout
        .write("app_lib/static/style.css", "h1 { color: rgb(1, 2, 3) }\n");
    let styled = format!(
        "getComputedStyle(document.querySelector('h1')).color === 'rgb(1, 2, 3)' && {IS_MARKED}"
    );
    browser.until("the style", &styled).await;
    assert_eq!(host.status().await.number("/revision"), asked + 1);
    assert_eq!(requests().await, before);

    // What has the focus changes too, and what is open stays open.
    host.checkout
        .edit(LAYOUT, "More</summary>more", "Further</summary>further");
    let further = "document.activeElement.textContent === 'Further' && document.querySelector('details').open";
    browser.until("the text of what is open", further).await;

    // What a script has built is not in what the server sends.
    host.checkout.edit(
        LAYOUT,
        "<main>",
        "<script>document.title = 'by a script'</script><main>",
    );
    let loaded = "document.title === 'by a script' && window.marked === undefined && document.querySelector('[name=name]').value === 'typed'";
    browser.until("the page loaded again", loaded).await;
    browser.close().await;
}
