import AlertJournal
import KeyValueStore
import Pipeline
import TestSupport
import Testing
import VitalModel

@testable import Service

/// A store with a patient and two alerts, without a service.
private final class CheckBench {
  static let now: Int64 = 1_795_000_000_000
  let folder: TemporaryDirectory
  let store: VigilStore
  let directory = Directory(registry: VitalRegistry([]))
  let patient: UInt32

  init() throws {
    folder = try TemporaryDirectory("actions")
    store = try VigilStore.open(path: folder.file("store"))
    patient = directory.patient(tenant: "demo", patient: "p-1")
    let writer = EffectsWriter(store: store, shard: 0)
    var effects = Effects()
    for (id, phases) in [("a-open", [AlertPhase.start]), ("a-over", [.start, .end])] {
      for (index, phase) in phases.enumerated() {
        var document = AlertDocument()
        (document.alertID, document.sequence, document.phase) = (id, index + 1, phase)
        document.state = phase == .end ? .inactive : .active
        effects.output.transitions.append(
          Transition(position: 1, patient: patient, document: document, evidence: nil, isNotified: true))
      }
    }
    try writer.write(effects)
  }

  deinit { store.close() }

  static let rules: [RuleDefinition] = [
    ("high", .physiological, Priority.high), ("medium", .physiological, .medium), ("low", .technical, .low),
    ("note", .advisory, .info), ("both", .physiological, .low), ("both", .physiological, .medium),
  ].map { id, kind, priority in
    var rule = RuleDefinition()
    (rule.id, rule.kind, rule.priority) = (id, kind, priority)
    return rule
  }

  func check(at time: Int64 = CheckBench.now) -> ActionCheck {
    ActionCheck(store: store, directory: directory, tenant: "demo", rules: { CheckBench.rules }, now: time)
  }

  /// nil: allowed.
  func refusal(_ request: ActionRequest, at time: Int64 = CheckBench.now) -> ActionRefusal? {
    do throws(ActionRefusal) {
      _ = try check(at: time).checked(request)
      return nil
    } catch {
      return error
    }
  }

  func keep(_ action: CheckedAction) throws {
    let batch = store.makeBatch()
    try store.actions.put(
      action.action, patient: action.patient, position: 9, time: CheckBench.now, mark: nil, in: batch)
    try store.write(batch, sync: false)
  }

  static func silence(rule: String? = nil, kind: String? = nil, _ duration: Int64?) -> ActionRequest {
    var request = ActionRequest(.silence, by: "u-1")
    (request.patient, request.rule, request.alerts) = ("p-1", rule, kind)
    (request.duration, request.reason) = (duration, "physiotherapy")
    return request
  }
}

@Suite struct ActionCheckTests {
  @Test("D5: a silence lasts at most 10 min for high, 2 h for medium, 12 h for low, and says so")
  func limits() throws {
    let bench = try CheckBench()
    let minute: Int64 = 60_000
    for (rule, kind, longest, text) in [
      ("high", nil, 10 * minute, "10m"), ("medium", nil, 120 * minute, "2h"), ("low", nil, 720 * minute, "12h"),
      ("note", nil, 720 * minute, "12h"), ("both", nil, 120 * minute, "2h"), (nil, "physiological", 10 * minute, "10m"),
      (nil, "technical", 120 * minute, "2h"), (nil, "advisory", 120 * minute, "2h"),
    ] as [(String?, String?, Int64, String)] {
      let longestRequest = CheckBench.silence(rule: rule, kind: kind, longest)
      let checked = try bench.check().checked(longestRequest)
      guard case .silence(let silence) = checked.action else { throw SupportError.child("no silence") }
      #expect(checked.patient == bench.patient && silence.from == CheckBench.now)
      #expect(silence.until == CheckBench.now + longest && silence.author == "u-1")
      let refusal = bench.refusal(CheckBench.silence(rule: rule, kind: kind, longest + 1))
      #expect(refusal?.reason == .wrong && refusal?.line.contains("at most \(text)") == true, "\(refusal?.line ?? "")")
    }
    #expect(ActionCheck.longest(.physiological, []) == 10 * minute)
  }

  @Test("D5: a silence is of one patient and one rule or kind, by somebody, for a reason and a time")
  func matchers() throws {
    let bench = try CheckBench()
    #expect(bench.refusal(CheckBench.silence(rule: "hihg", 1000))?.line.contains("did you mean `high`?") == true)
    #expect(bench.refusal(CheckBench.silence(kind: "tecnical", 1000))?.line.contains("`technical`") == true)
    #expect(bench.refusal(CheckBench.silence(rule: "high", kind: "technical", 1000))?.reason == .wrong)
    #expect(bench.refusal(CheckBench.silence(1000))?.reason == .wrong)
    for wrong in [nil, 0, -5, 999, Int64.max, Int64.min] as [Int64?] {
      #expect(bench.refusal(CheckBench.silence(rule: "high", wrong))?.reason == .wrong)
    }
    for change in [
      { $0.patient = nil }, { $0.reason = nil }, { $0.reason = " \n" }, { $0.by = "" }, { $0.by = "a\nb" },
      { $0.by = String(repeating: "u", count: 201) }, { $0.reason = String(repeating: "x", count: 2001) },
    ] as [(inout ActionRequest) -> Void] {
      var request = CheckBench.silence(rule: "high", 1000)
      change(&request)
      #expect(bench.refusal(request)?.reason == .wrong)
    }
    for change in [{ $0.patient = "p-2" }, { $0.tenant = "other" }] as [(inout ActionRequest) -> Void] {
      var request = CheckBench.silence(rule: "high", 1000)
      change(&request)
      let refusal = bench.refusal(request)
      #expect(refusal?.reason == .unknown && refusal?.line.contains("p-") == false)
    }
  }

  @Test("D5: silences of one patient are bounded, can be ended once, and ids sort by time")
  func ends() throws {
    let bench = try CheckBench()
    var ids: [String] = []
    for number in 0..<ActionCheck.silencesMax {
      let checked = try bench.check(at: CheckBench.now + Int64(number))
        .checked(CheckBench.silence(rule: "medium", 600_000))
      ids.append(try #require(checked.action.silence?.id))
      try bench.keep(checked)
    }
    #expect(ids == ids.sorted() && Set(ids).count == ids.count)
    #expect(bench.refusal(CheckBench.silence(rule: "low", 1000), at: CheckBench.now + 100)?.reason == .wrong)
    var end = ActionRequest(.endSilence, by: "u-2")
    end.silence = ids[0]
    let checked = try bench.check(at: CheckBench.now + 100).checked(end)
    #expect(checked == CheckedAction(patient: bench.patient, action: .endSilence(id: ids[0], by: "u-2")))
    try bench.keep(checked)
    #expect(bench.refusal(end, at: CheckBench.now + 100)?.reason == .ended)
    #expect(bench.refusal(CheckBench.silence(rule: "low", 1000), at: CheckBench.now + 100) == nil)
    end.silence = ids[1]
    #expect(bench.refusal(end, at: CheckBench.now + 700_000)?.reason == .ended)
    end.silence = "s-none"
    #expect(bench.refusal(end)?.reason == .unknown)
  }

  @Test("an alert that is unknown or has ended takes no answer")
  func answers() throws {
    let bench = try CheckBench()
    for verb in ActionRequest.Verb.allCases where verb.isAboutAlert {
      var request = ActionRequest(verb, alert: "a-open", by: "u-1")
      request.reason = "seen"
      #expect(try bench.check().checked(request).patient == bench.patient)
      for (alert, reason) in [("a-over", ActionRefusal.Reason.ended), ("a-none", .unknown), ("", .unknown)] {
        request.alert = alert
        #expect(bench.refusal(request)?.reason == reason)
      }
      request.alert = String(repeating: "a", count: 70_000)
      #expect(bench.refusal(request)?.reason == .unknown)
      request.alert = "a-open"
      request.by = ""
      #expect(bench.refusal(request)?.reason == .wrong)
    }
    var judged = ActionRequest(.acknowledge, alert: "a-open", by: "u-1")
    for kind in AcknowledgementClass.allCases {
      judged.kind = kind.rawValue
      let expected = Acknowledgement(by: "u-1", kind: kind, time: CheckBench.now)
      #expect(try bench.check().checked(judged).action == .acknowledge(alertID: "a-open", expected))
    }
    judged.alert = "a-over"
    judged.kind = "false"
    guard case .label(let last, let word) = try bench.check().checked(judged).action else {
      Issue.record("an ended alert can be told what it was worth")
      return
    }
    #expect(last.alertID == "a-over" && word.kind == .isFalse)
    let stored = StoredAction(.label(last, word))
    #expect(StoredAction.action(journaled: stored.bytes) == .label(last, word))
    judged.alert = "a-open"
    judged.kind = "actionabel"
    #expect(bench.refusal(judged)?.line.contains("did you mean `actionable`?") == true)
    #expect(bench.refusal(ActionRequest(.resolve, alert: "a-open", by: "u-1"))?.reason == .wrong)
  }
}
