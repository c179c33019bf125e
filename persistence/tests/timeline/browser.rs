//! The page, in a real browser: it needs nothing else, holds whatever texts there are, and obeys the keys.
//!
//! Without a browser the story is skipped and says so, unless `CI=true`: then it fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{Pen, deposited, folder, withdrawn};

fn browser() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

/// The document of a page when its scripts have run.
fn document(browser: &Path, folder: &Path, page: &str) -> String {
    let url = format!("file://{}/{page}", folder.display());
    let mut command = Command::new("timeout");
    command.args(["120"]).arg(browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-web-security",
        "--virtual-time-budget=5000",
    ]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.args(["--dump-dom", &url]);
    let output = command.output().expect("`timeout` is there");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a document is UTF-8")
}

/// Opens the page in a frame, presses keys in it, and writes down what it shows.
const HARNESS: &str = r##"<!doctype html><meta charset="utf-8"><pre id="out"></pre>
<iframe src="PAGE" width="900" height="600"></iframe>
<script>
const frame = document.querySelector("iframe"), out = document.querySelector("#out");
frame.onload = () => {
  const page = frame.contentWindow, inside = page.document;
  const say = (what) => {
    const shown = [...inside.querySelectorAll("section")].filter((it) => page.getComputedStyle(it).display !== "none");
    const current = inside.querySelectorAll("a[aria-current]");
    out.textContent += what + ": " + shown.map((it) => it.id).join(" ") + " / " + [...current].map((it) => it.getAttribute("href")).join(" ") + "\n";
  };
  const press = (key) => {
    inside.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    say(key);
  };
  say("opened");
  ["Home", "ArrowUp", "ArrowDown", "j", "k", "End", "ArrowDown", "PageUp", "x"].forEach(press);
  inside.querySelectorAll("#events a")[1].click();
  say("clicked");
  out.textContent += "loaded: " + page.performance.getEntriesByType("resource").length + "\n";
  out.textContent += "scripts: " + inside.scripts.length + ", pwned: " + (page.pwned ?? "no") + "\n";
  out.textContent += "columns: " + (page.getComputedStyle(inside.querySelector("main")).display) + "\n";
};
</script>"##;

#[tokio::test]
async fn a_page_works_in_a_browser_by_itself_and_by_its_keys() {
    let Some(browser) = browser() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no browser was found, and CI=true");
        println!("skipped: no chromium, chromium-browser or google-chrome in PATH");
        return;
    };
    let evil = "</pre></section><script>window.pwned = 1</script><img src=x onerror=\"window.pwned = 2\">&amp;\u{202e}'";
    let pen = Pen::with([deposited(5), withdrawn(2, evil), deposited(1), deposited(2)]);
    let mut past = pen.open().await.unwrap();
    past.rewind_to(3).await.unwrap();
    let folder = folder("browser");
    past.export(folder.join("account.html")).await.unwrap();
    std::fs::write(folder.join("harness.html"), HARNESS.replace("PAGE", "account.html")).unwrap();

    let seen = document(&browser, &folder, "harness.html");
    let seen = seen.split("<pre id=\"out\">").nth(1).and_then(|rest| rest.split("</pre>").next()).unwrap();
    let expected = "opened: e3 / #e3\nHome: e1 / #e1\nArrowUp: e1 / #e1\nArrowDown: e2 / #e2\nj: e3 / #e3\nk: e2 / #e2\n\
        End: e4 / #e4\nArrowDown: e4 / #e4\nPageUp: e1 / #e1\nx: e1 / #e1\nclicked: e2 / #e2\nloaded: 0\nscripts: 1, pwned: no\n\
        columns: grid\n";
    assert_eq!(seen, expected, "are the sums in `timeline/page.rs` those of the two files?");

    // A link to one event opens it.
    let page = document(&browser, &folder, "account.html#e2");
    assert!(page.contains("<a href=\"#e2\" aria-current=\"true\">"), "{page}");
    assert!(page.contains("&lt;/pre&gt;&lt;/section&gt;&lt;script&gt;window.pwned = 1"), "{page}");
    std::fs::remove_dir_all(folder).unwrap();
}
