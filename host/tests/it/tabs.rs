//! What a reload must not cost, in a real browser.

use crate::support::{Chromium, Host};

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
            "document.querySelector('#unreloadable').textContent.includes(\"default-src 'none'\")";
        browser.until("the page by name", shown).await;
        browser.close().await;
    }
    host.checkout.write_lab(&routes("default-src 'self'"));
    host.until_generation(2).await;
    host.text("/lab").await;
    assert!(unreloadable().await.is_null(), "it reloads now");
}
