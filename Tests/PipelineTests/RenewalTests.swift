import Evaluation
import Foundation
import Suppression
import Testing
import VitalModel

@testable import Pipeline

/// Alerts that are still true after their rule's time end and begin anew.
@Suite struct RenewalTests {
  private static let rule = """
    rule: hot
    title: Hot
    source: test
    priority: medium
    when: newest(temp, 48h) > 38
    clear: newest(temp, 48h) <= 37.5
    refractory: 12h
    renew: 8h
    message: "{value}"

    """
  private static let hour = 3600

  private func strip(_ rules: String = rule, wall: Bool = false) throws -> Strip {
    try Strip(rules: rules, options: EngineOptions(clock: wall ? .wall : .stream))
  }

  @Test("it ends as renewed and starts at once with a new onset and identity, whatever its refractory time")
  func renews() throws {
    let strip = try strip()
    strip.feed("0: temp=39\n\(20 * Self.hour): temp=39")
    let h = Self.hour
    #expect(
      strip.transitions == [
        "0 start hot medium", "\(8 * h) end hot medium", "\(8 * h) start hot medium", "\(16 * h) end hot medium",
        "\(16 * h) start hot medium",
      ])
    let told = strip.documents
    #expect(told.map(\.endReason) == [nil, "renewed", nil, "renewed", nil])
    #expect(Set(told.map(\.alertID)).count == 3)
    #expect(told[2].onsetTime == Strip.time("\(8 * h)"))
    #expect(strip.ledger == [])
  }

  @Test("a rule without the key goes on")
  func without() throws {
    let strip = try strip(Self.rule.replacingOccurrences(of: "renew: 8h\n", with: ""))
    strip.feed("0: temp=39\n\(20 * Self.hour): temp=39")
    #expect(strip.transitions == ["0 start hot medium"])
  }

  @Test("between the limits it waits until its condition holds again; over, it ends for that")
  func waitsForTheCondition() throws {
    let strip = try strip()
    let h = Self.hour
    strip.feed("0: temp=39\n\(7 * h): temp=37.8\n\(9 * h): temp=37.8\n\(10 * h): temp=38.5")
    #expect(strip.transitions == ["0 start hot medium", "\(10 * h) end hot medium", "\(10 * h) start hot medium"])
    strip.feed("\(17 * h): temp=37.0\n\(30 * h): temp=37.0")
    #expect(strip.transitions.last == "\(17 * h) end hot medium")
    #expect(strip.documents.last?.endReason == "condition over")
  }

  @Test("what is unknown renews nothing, and ends nothing")
  func unknown() throws {
    let h = Self.hour
    let strip = try strip(
      Self.rule.replacingOccurrences(of: "newest(temp, 48h)", with: "last(hr)")
        .replacingOccurrences(of: "> 38", with: "> 120").replacingOccurrences(of: "<= 37.5", with: "<= 110"))
    // Silent from the first minute on.
    strip.feed("0: hr=130\n\(9 * h): temp=37")
    #expect(strip.transitions == ["0 start hot medium"])
    strip.feed("\(10 * h): hr=130")
    #expect(
      strip.transitions.dropFirst() == ["\(10 * h) end hot medium", "\(10 * h) start hot medium"])
  }

  @Test("renewals are no flapping, and a person's silence still holds")
  func stages() throws {
    let h = Self.hour
    let hourly = Self.rule.replacingOccurrences(of: "renew: 8h", with: "renew: 1h\nflap: { count: 2, within: 24h }")
    let strip = try strip(hourly)
    strip.feed("0: temp=39\n\(3 * h + 60): temp=39")
    #expect(strip.documents.count == 7 && strip.documents.allSatisfy { !$0.isRecurrent })
    let silence = Silence(
      id: "s", matcher: .rule("hot"), author: "ann", reason: "bath", from: Strip.time("\(3 * h + 60)"),
      until: Strip.time("\(5 * h)"))
    strip.act(Double(3 * h + 60), .silence(silence))
    strip.feed("\(6 * h): temp=39")
    #expect(strip.ledger.contains { $0.contains("silence hot") })
    #expect(strip.transitions.contains("\(4 * h) end hot medium"))
    #expect(!strip.transitions.contains("\(4 * h) start hot medium"))
    #expect(strip.transitions.contains("\(5 * h) start hot medium"))
  }

  @Test("rules that joined it join the new alert; one that only keeps it alive renews nothing")
  func members() throws {
    let h = Self.hour
    let other =
      "---\n"
      + Self.rule.replacingOccurrences(of: "rule: hot", with: "rule: low")
      .replacingOccurrences(of: "newest(temp, 48h) > 38", with: "newest(sbp, 48h) < 90")
      .replacingOccurrences(of: "newest(temp, 48h) <= 37.5", with: "newest(sbp, 48h) >= 95")
      .replacingOccurrences(of: "renew: 8h\n", with: "")
    let strip = try strip(Self.rule + other)
    strip.feed("0: temp=39\n60: sbp=80\n\(9 * h): temp=39")
    let alerts = try #require(strip.engine.patients.first).pointee.alerts
    #expect(alerts.map(\.ruleID) == ["hot"])
    #expect(alerts.first?.members == ["low"])
    strip.feed("\(10 * h): temp=37\n\(20 * h): temp=37")
    #expect(strip.transitions.filter { $0.contains("end") } == ["\(8 * h) end hot medium"])
  }

  @Test("on the wall clock it is a deadline; a restart before it changes nothing, and one after it tells nothing twice")
  func restart() throws {
    let h = Self.hour
    for at in [7, 9] {
      let whole = try strip(wall: true)
      let broken = try strip(wall: true)
      let first = "0: temp=39\n\(h)..\(at * h)/\(h): spo2=97"
      let second = "\((at + 1) * h)..\(18 * h)/\(h): spo2=97"
      whole.feed(first).feed(second)
      broken.feed(first)
      try broken.restart(options: EngineOptions(clock: .wall))
      broken.feed(second)
      #expect(whole.transitions.count == 5)
      #expect(broken.everything == whole.everything)
    }
  }

  @Test("a new rule set renews an alert that is already old, and one without the key leaves it alone")
  func newRules() throws {
    let h = Self.hour
    let strip = try strip(Self.rule.replacingOccurrences(of: "renew: 8h", with: "renew: 48h"))
    strip.feed("0: temp=39\n\(9 * h): spo2=97")
    strip.engine.adoptPlan(try Shipped.layout(Self.rule))
    strip.feed("\(9 * h + 60): spo2=97")
    #expect(strip.transitions.count == 3)
    #expect(strip.documents[1].endReason == "renewed")
  }
}
