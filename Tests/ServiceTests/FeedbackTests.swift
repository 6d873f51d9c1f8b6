import AlertJournal
import Foundation
import Instrumentation
import Pipeline
import Statistics
import TestSupport
import Testing
import VitalModel

@testable import Service

/// What people said of alerts, from the store to a figure somebody reads.
@Suite struct FeedbackTests {
  // MARK: Folding

  /// As a store keeps them.
  private func stored(_ documents: [AlertDocument], told: Bool = true) throws -> [StoredTransition] {
    let folder = try TemporaryDirectory("fold")
    let store = try VigilStore.open(path: folder.file("store"))
    defer { store.close() }
    var effects = Effects()
    effects.output.transitions = documents.map { Transition(position: 1, patient: 3, document: $0, isNotified: told) }
    try EffectsWriter(store: store, shard: 0).write(effects)
    return try store.alerts.transitions(alertID: "a-1")
  }

  /// One alert: told at 0 s, escalated twice, accepted, re-alarmed, accepted again, acknowledged twice, over.
  private var life: [AlertDocument] {
    var document = AlertDocument()
    document.alertID = "a-1"
    document.ruleID = "spo2-low"
    document.ruleVersion = "sha256:1"
    document.locationUnit = "ward-7"
    document.detectedTime = 10_000
    var documents = [document]
    func then(_ seconds: Int64, _ phase: AlertPhase = .update, _ change: (inout AlertDocument) -> Void) {
      document.sequence += 1
      document.phase = phase
      document.detectedTime = 10_000 + seconds * 1000
      document.isRealarm = false
      change(&document)
      documents.append(document)
    }
    then(120, .escalate) { $0.attemptLevel = 1 }
    // Worse on the same step: told again, no step up.
    then(150, .escalate) { $0.priority = .high }
    then(240, .escalate) { $0.attemptLevel = 2 }
    then(250) { $0.responsibility = .accepted }
    then(850) { document in
      (document.isRealarm, document.responsibility, document.attemptLevel) = (true, .undefined, 0)
    }
    then(860) { $0.responsibility = .accepted }
    then(900) { $0.acknowledgement = Acknowledgement(by: "u-1", time: 900_000) }
    then(910) { $0.acknowledgement = Acknowledgement(by: "u-1", kind: .notRelevant, time: 910_000) }
    then(1000, .end) { document in
      (document.state, document.endReason) = (.inactive, "condition over")
    }
    return documents
  }

  @Test func transitionsOfAnAlertFoldIntoOneRecord() throws {
    let outcome = try #require(AlertHistory.fold(try stored(life)))
    #expect(outcome.rule == "spo2-low" && outcome.ruleVersion == "sha256:1" && outcome.unit == "ward-7")
    #expect(outcome.start == 10_000 && outcome.end == 1_010_000 && outcome.endReason == "condition over")
    #expect(outcome.priority == .high && outcome.notified == 10)
    #expect(outcome.acceptedAt == 260_000 && outcome.acknowledgedAt == 910_000)
    #expect(outcome.judgement == .notRelevant && !outcome.isActionable)
    #expect(outcome.escalations == 2 && outcome.realarms == 1)
    // What nobody was told of is no alert anybody can judge.
    #expect(AlertHistory.fold(try stored(life, told: false)) == nil)
    #expect(AlertHistory.fold([]) == nil)
  }

  // MARK: Metrics

  @Test func metersCountAnswersReAlarmsAndSteps() throws {
    let meters = ServiceMeters()
    var meter = FeedbackMeter(meters) { _ in [] }
    for document in life { meter.count(document) }
    let text = meters.registry.render()
    for line in [
      "vigil_acknowledgements_total{rule=\"spo2-low\",class=\"none\"} 1\n",
      "vigil_acknowledgements_total{rule=\"spo2-low\",class=\"not-relevant\"} 1\n",
      "vigil_escalations_total{level=\"1\"} 1\n", "vigil_escalations_total{level=\"2\"} 1\n",
      "vigil_realarms_total 1\n", "vigil_time_to_accept_seconds_count{priority=\"high\"} 1\n",
      "vigil_time_to_accept_seconds_sum{priority=\"high\"} 250\n",
    ] { #expect(text.contains(line), "\(line)") }
    #expect(!text.contains("patient="))
  }

  /// A restart forgets nothing: what an alert was before comes from the store, and is not counted again.
  @Test func metersGoOnAfterARestart() throws {
    let (before, after) = (try stored(Array(life.prefix(5))), life.dropFirst(5))
    let meters = ServiceMeters()
    var looked = 0
    var meter = FeedbackMeter(meters) { _ in
      looked += 1
      return before
    }
    for document in after { meter.count(document) }
    let text = meters.registry.render()
    #expect(looked == 1)
    #expect(!text.contains("vigil_escalations_total{"))
    #expect(!text.contains("vigil_time_to_accept_seconds_count{"))
    #expect(text.contains("vigil_realarms_total 1\n"))
  }

  // MARK: Steps

  /// Every value that would be tried of a shipped rule is one a roster may set.
  @Test func stepsOfShippedRulesStayInsideTheirBounds() throws {
    let plan = try RuleFiles.read(CommandProgram.rules).plan(set: "adult-ward")
    var ids: Set<String> = []
    for rule in plan.rules {
      for steps in QuieterSteps.all(rule, current: { rule.parameters[$0].value }) {
        let parameter = rule.parameters[steps.parameter]
        let (lowest, highest) = (try #require(parameter.lowest), try #require(parameter.highest))
        ids.insert(rule.id)
        for value in steps.values {
          #expect((lowest.double...highest.double).contains(value.double), "\(rule.id) \(parameter.name) \(value)")
        }
      }
    }
    #expect(ids.isSuperset(of: ["spo2-low", "hr-high"]))
  }

  // MARK: The command

  @Test func statsReadsAStoreAndSuggestsByReplay() throws {
    let made = try FeedbackStore()
    let program = try CommandProgram("stats")
    func stats(_ more: String...) throws -> String {
      let outcome = try program.run(["stats", "--store", made.path] + more)
      #expect(outcome.status == .code(0), "\(outcome.stderr)")
      return outcome.stdout
    }
    let text = try stats()
    #expect(text.contains("33 alerts of 8 patients") && text.contains("28 of them with a class"))
    #expect(!text.contains("p-017"))
    #expect(try stats("--by", "patient").contains("p-017"))
    try checkFigures(commandJSON(try stats("--json")))
    try checkSuggestions(stats("--suggest"), commandJSON(try stats("--suggest", "--json")))
  }

  private func checkFigures(_ json: [String: Any]) throws {
    let total = try #require(json["total"] as? [String: Any])
    #expect(total["alerts"] as? Int == 33 && total["labelled"] as? Int == 28)
    #expect(total["actionable"] as? Int == 6 && total["false"] as? Int == 19)
    #expect(abs((total["ppv"] as? Double ?? 0) - 6.0 / 28) < 1e-12)
    // 33 falls every 45 min.
    let days = (json["patient_days"] as? [String: Any])?["value"] as? Double ?? 0
    #expect(abs(days - 24.75 / 24) < 1e-9)
    #expect((json["patient_days"] as? [String: Any])?["source"] as? String == "samples")
    let accept = try #require((json["time_to_accept"] as? [[String: Any]])?.first)
    #expect(accept["answered"] as? Int == 30 && accept["median_s"] as? Double == 25)
    let spread = try #require(json["concentration"] as? [String: Any])
    #expect(abs((spread["top_share"] as? Double ?? 0) - 24.0 / 33) < 1e-12)
    #expect((json["by_unit"] as? [[String: Any]])?.map { $0["unit"] as? String } == ["ward-7", "ward-8"])
    #expect((json["by_week"] as? [[String: Any]])?.map { $0["week"] as? String } == ["2026-W47"])
    #expect(json["by_patient"] == nil)
  }

  private func checkSuggestions(_ text: String, _ json: [String: Any]) throws {
    #expect(
      text.contains(
        "limit 90 -> 88 % for patient p-017 (rule low) would have removed 20 of 24 alerts, none of them actionable"))
    #expect(text.contains("the same recording") && !text.contains("p-018"))
    #expect(json["alerts_stored"] as? Int == 24 && json["alerts_reproduced"] as? Int == 24)
    let trial = try #require((json["suggestions"] as? [[String: Any]])?.first)
    #expect(trial["removed"] as? Int == 20 && trial["removed_labelled"] as? Int == 18)
    #expect(trial["removed_actionable"] as? Int == 0 && trial["actionable"] as? Int == 1)
    #expect(trial["all_rules_before"] as? Int == 24 && trial["all_rules_after"] as? Int == 4)
  }
}
