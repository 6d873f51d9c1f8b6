import Configuration
import Evaluation
import Foundation
import RuleLanguage
import Testing
import VitalModel

@testable import Pipeline

/// SEMANTICS C5: device alarms are annotated, never cancelled.
@Suite struct VerificationTests {
  private static func check(_ id: String, supported: String = "max(hr, 10s) > 200", unsupported: String) -> String {
    """
    rule: \(id)
    title: Checked
    source: test
    parameters:
      limit: { default: 100, min: 80, max: 140, unit: /min }
    checks: { events: [vtach, MDC_EVT_ECG_V_TACHY], supported: "\(supported)", unsupported: "\(unsupported)" }
    """
  }
  private static let plain = check("vtach-check", unsupported: "max(hr, 10s) < $limit")

  private func sound(
    _ strip: Strip, _ event: String, at second: Int64, ended: Bool = false, on engine: Engine? = nil
  ) {
    var slot = Slot()
    slot.patient = strip.directory.patient(tenant: strip.tenant, patient: "p1")
    slot.device = strip.directory.device(tenant: strip.tenant, device: "a")
    slot.eventTime = Strip.origin + second * 1000
    slot.ingestTime = slot.eventTime
    (engine ?? strip.engine).applyDeviceAlarm(slot, DeviceAlarm(event: event, hasEnded: ended, priority: .high))
  }

  private func facts(_ strip: Strip) throws -> [String: Any] {
    let text = try #require(strip.engine.output.transitions.last?.evidence)
    return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test(
    "C5: whatever the numerics say, the alarm is told at once, with its own priority",
    arguments: [("hr=80", "unsupported"), ("hr=120", "unknown"), ("hr=210", "supported")])
  func neverCancelled(numerics: String, answer: String) throws {
    let strip = try Strip(rules: VerificationTests.plain).feed("0..20: \(numerics)")
    sound(strip, "vtach", at: 21)
    sound(strip, "vtach", at: 25, ended: true)
    #expect(strip.transitions == ["21 start device-alarm-vtach high", "25 end device-alarm-vtach high"])
    #expect(strip.documents.first?.verification == answer)
    let isTold = strip.engine.output.transitions.map(\.isNotified)
    #expect(isTold == [true, true])
    #expect(strip.ledger.isEmpty)
  }

  @Test("C5: a latched alarm that returns is judged anew; what it was called stays with it until then")
  func returns() throws {
    var options = EngineOptions(clock: .stream)
    options.alerting.latching = [.high]
    let strip = try Strip(rules: VerificationTests.plain, options: options).feed("0..20: hr=80")
    sound(strip, "vtach", at: 21)
    sound(strip, "vtach", at: 22, ended: true)
    strip.feed("23..60: hr=210")
    sound(strip, "vtach", at: 61)
    #expect(strip.documents.map(\.verification) == ["unsupported", "unsupported", "supported"])
    #expect(strip.engine.output.transitions.map { $0.evidence != nil } == [true, false, true])
  }

  @Test("C5: an alarm no check is for is told without an answer")
  func unchecked() throws {
    let strip = try Strip(rules: VerificationTests.plain).feed("0..20: hr=80")
    sound(strip, "asystole", at: 21)
    #expect(strip.documents.map(\.verification) == [nil])
    #expect(strip.engine.output.transitions.map(\.evidence) == [nil])
  }

  @Test("C5: the MDC reference id in any case names the same alarm", arguments: ["MDC_EVT_ECG_V_TACHY", "VTach"])
  func names(event: String) throws {
    let strip = try Strip(rules: VerificationTests.plain).feed("0..20: hr=80")
    sound(strip, event, at: 21)
    #expect(strip.documents.map(\.verification) == ["unsupported"])
  }

  @Test("C5: only what came before the alarm is known to it; what comes after changes nothing")
  func onlyThePast() throws {
    let strip = try Strip(rules: VerificationTests.plain).feed("0..20: hr=80")
    sound(strip, "vtach", at: 21)
    strip.feed("21..60: hr=220")
    #expect(strip.documents.map(\.verification) == ["unsupported"])
    #expect(strip.transitions.count == 1)
  }

  @Test("C5: samples too old for the windows say nothing")
  func silence() throws {
    let strip = try Strip(rules: VerificationTests.plain).feed("0..20: hr=80")
    sound(strip, "vtach", at: 45)
    #expect(strip.documents.map(\.verification) == ["unknown"])
  }

  @Test("C5: of several checks the first in the rules' order that knows an answer gives it")
  func order() throws {
    let rules = [
      VerificationTests.check("a", unsupported: "max(pr, 10s) < $limit"),
      VerificationTests.check("b", unsupported: "max(hr, 10s) < $limit"),
      VerificationTests.check("c", supported: "min(hr, 10s) > 70", unsupported: "min(hr, 10s) < $limit - 40"),
    ].joined(separator: "\n---\n")
    let strip = try Strip(rules: rules).feed("0..20: hr=80")
    sound(strip, "vtach", at: 21)
    #expect(strip.documents.map(\.verification) == ["unsupported"])
    let finding = try #require(try facts(strip)["verification"] as? [String: Any])
    #expect(finding["rule"] as? String == "b")
  }

  @Test("C5: where both conditions hold the alarm is supported")
  func both() throws {
    let rules = VerificationTests.check("a", supported: "max(hr, 10s) > 50", unsupported: "max(hr, 10s) < $limit")
    let strip = try Strip(rules: rules).feed("0..20: hr=80")
    sound(strip, "vtach", at: 21)
    #expect(strip.documents.map(\.verification) == ["supported"])
  }

  @Test("invariant 7: rule, version, condition, inputs and samples that decided are kept with the alarm")
  func evidence() throws {
    let strip = try Strip(rules: VerificationTests.plain).feed("0..20: hr=80")
    sound(strip, "vtach", at: 21)
    let facts = try facts(strip)
    let finding = try #require(facts["verification"] as? [String: Any])
    #expect(finding["answer"] as? String == "unsupported")
    #expect(finding["rule"] as? String == "vtach-check")
    #expect(finding["version"] as? String == strip.layout.plan.rules[0].version)
    #expect(finding["unsupported"] as? String == "max(hr, 10s) < $limit")
    #expect(finding["supported"] == nil)
    let input = try #require((facts["inputs"] as? [[String: Any]])?.first)
    #expect(input["input"] as? String == "max(hr, 10s)")
    #expect((input["value"] as? NSNumber)?.doubleValue == 80)
    #expect((facts["samples"] as? [Any])?.isEmpty == false)
  }

  @Test("C3: a check is for whom it applies; unknown counts as applying")
  func applies() throws {
    let rules = VerificationTests.plain + "\napplies: { age: \">=16y\" }"
    for (years, answer) in [(15, nil), (16, "unsupported"), (nil, "unsupported")] as [(Int?, String?)] {
      let age = years.map { DecimalValue(mantissa: Int64($0)) }
      let roster = try Roster(patients: [RosterPatient(id: "p1", age: age)])
      let strip = try Strip(rules: rules, roster: roster).feed("0..20: hr=80")
      sound(strip, "vtach", at: 21)
      #expect(strip.documents.map(\.verification) == [answer])
    }
  }

  @Test("a check costs a sample nothing: no sample, deadline or computed value belongs to it")
  func costsNothing() throws {
    let with = try Shipped.layout(
      VerificationTests.check("a", unsupported: "max(hr, 10s) < $limit and age(hr) < 5s and not missing(hr, 7s)"))
    let hr = with.codes[Int(try #require(Shipped.registry.code("hr")).index)]
    #expect(hr.seriesRules.isEmpty && hr.patientRules.isEmpty && hr.features.isEmpty && hr.absences.isEmpty)
    #expect(with.staleRules.isEmpty && with.statusRules.isEmpty && with.raisingRules.isEmpty)
    #expect(hr.windows.count == 1 && Array(with.checks) == [0])
  }

  @Test("invariant 2: after a restart an alarm gets the answer it would have got")
  func restart() throws {
    let rules = VerificationTests.check("a", unsupported: "max(hr, 5m) < $limit and count(hr, 5m) >= 250")
    let strip = try Strip(rules: rules).feed("0..400: hr=80")
    let copy = Engine(layout: strip.layout, options: EngineOptions(clock: .stream), names: strip.directory)
    for number in strip.engine.patientNumbers {
      let state = try #require(strip.engine.encodeState(of: number))
      try copy.restoreState(of: number, position: state.position, bytes: state.bytes)
    }
    copy.finishRestoring()
    copy.resume(at: strip.engine.position, clock: strip.engine.clock)
    for engine in [strip.engine, copy] { sound(strip, "vtach", at: 402, on: engine) }
    let told = [strip.engine, copy].map { $0.output.transitions.last }
    #expect(told[1]?.document.verification == "unsupported")
    #expect(told[0]?.document == told[1]?.document)
    #expect(told[0]?.evidence == told[1]?.evidence)
  }

  @Test("a check names the source whose series it reads; a lost one is not the other one")
  func oneSource() throws {
    let rules = VerificationTests.check("a", unsupported: "max(hr@ecg2, 10s) < $limit")
    for (source, answer) in [("ecg", "unknown"), ("ecg2", "unsupported")] {
      let strip = try Strip(rules: rules)
      for number in 0..<20 {
        var slot = strip.parse("\(number): hr=80")[0]
        slot.source = strip.directory.source(source)
        slot.series = strip.directory.series(
          patient: slot.patient, code: slot.code, device: slot.device, source: slot.source)
        strip.engine.apply(slot)
      }
      sound(strip, "vtach", at: 21)
      #expect(strip.documents.map(\.verification) == [answer])
    }
  }
}
