//! Where a call is.

use super::Rig;

impl Rig {
    /// Waits until page data of this page (from 1) is on the line of the only call.
    pub async fn in_page(&self, page: u64) {
        self.until(&format!("page {page} on the line"), async || {
            let status = self.status().await;
            let call = status["calls"].get(0)?.clone();
            let is = |name: &str| call[name].as_u64().unwrap_or(0);
            assert!(
                is("page") <= page,
                "page {page} was too fast to be seen: {call}"
            );
            (is("page") == page && is("percent") >= 10).then_some(())
        })
        .await;
    }

    /// Waits until no call is up or on its way.
    pub async fn no_call_is_left(&self) {
        self.until("no call is left", async || {
            (self.status().await["calls_in_all"] == 0).then_some(())
        })
        .await;
    }
}
