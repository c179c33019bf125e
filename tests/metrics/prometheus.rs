//! Does a real exporter show the figures?

use metrics_exporter_prometheus::PrometheusBuilder;
use omnitron::Metrics;
use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::{Job, SECOND, worker};

#[test]
fn a_scrape_shows_the_figures_of_the_actors_with_units_and_descriptions() {
    let sim = Sim::new(1);
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        sim.block_on(async {
            let builder = ActorSystem::builder("shop").env(sim.env());
            let system = builder.extension(Metrics::every(SECOND)).start().await.unwrap();
            let till = system.spawn("till", worker()).unwrap();
            for jobs in [
                [Job::Nothing, Job::Fail, Job::Nothing],
                [Job::Sleep(SECOND * 60), Job::Nothing, Job::Nothing],
            ] {
                for job in jobs {
                    till.tell(job).unwrap();
                }
                sim.env().sleep(SECOND * 2).await;
            }
            let text = page.render();
            for line in [
                "# HELP omnitron_actors Actors that live",
                "# TYPE omnitron_messages_total counter",
                r#"omnitron_actors{system="shop"} 1"#,
                r#"omnitron_messages_total{system="shop"} 3"#,
                r#"omnitron_group_failures_total{system="shop",group="till"} 1"#,
                r#"omnitron_mailbox_depth{system="shop"} 3"#,
            ] {
                assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
            }
            system.shutdown().await;
        });
    });
    assert!(page.render().contains("omnitron_actors{system=\"shop\"} 0\n"), "the last reading");
}
