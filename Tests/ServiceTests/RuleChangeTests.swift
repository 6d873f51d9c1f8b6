import Digests
import Foundation
import RuleLanguage
import TestSupport
import Testing
import VitalModel

@testable import Service

/// Deployments as records: what follows what, who may, and what a signature covers.
@Suite struct RuleChangeTests {
  private static let low = """
    rule: low
    title: Low saturation
    source: a test
    rationale: a test
    priority: medium
    parameters:
      limit: { default: LIMIT, min: 80, max: 95, unit: "%" }
    when: last(spo2) < $limit
    for: 15s
    max_hold: 60s
    clear: { when: "last(spo2) >= $limit + 2", for: 10s }
    bypass: last(spo2) < $limit - 10
    message: "SpO2 {value} %"

    """

  private func files(_ limit: Int) throws -> RuleFiles {
    let registry = try String(contentsOfFile: RepositoryRoot.path + "/Rules/vitals.yaml", encoding: .utf8)
    let text = RuleChangeTests.low.replacingOccurrences(of: "LIMIT", with: "\(limit)")
    return RuleFiles(
      directory: "Rules", registryText: registry,
      sources: [
        RuleSource(path: "adult/low.yaml", text: text),
        RuleSource(
          path: "adult/other.yaml",
          text: text.replacingOccurrences(of: "rule: low", with: "rule: other")
            .replacingOccurrences(of: "title: Low", with: "title: Other")),
      ])
  }

  private func first() throws -> RuleDeployment {
    let files = try files(90)
    return RuleDeployment.ofFiles(
      files, set: nil, plan: try files.plan(set: nil), origin: .files, after: nil, now: 1_000)
  }

  private func change(_ limit: Int) throws -> RuleChange {
    var change = RuleChange(files: try files(limit))
    (change.author, change.reason) = ("ann", "why")
    return change
  }

  private func variants(_ deployment: RuleDeployment) throws -> [String] {
    try deployment.plan().rules.map { rule in
      let limit = rule.limit?.value.description ?? ""
      return "\(rule.id)/\(rule.variant) \(limit) \(rule.mode.rawValue) \(rule.applies?.text ?? "")"
    }
  }

  @Test func recordsComeBackAsTheyWere() throws {
    var change = try change(92)
    (change.units, change.rules, change.approver) = (["b", "a", "b"], ["low"], "bob")
    let next = try change.deployment(after: try first(), now: 2_000).deployment
    #expect(RuleDeployment(journaled: next.journaled) == next)
    #expect(try next.plan().version == next.version)
    #expect(RuleDeployment(journaled: [1, 2]) == nil)
    // What the journal held before there were deployments.
    let files = try files(90)
    let old = try #require(RuleDeployment(journaled: files.canonicalText(set: nil), place: 4))
    #expect(try old.number == 4 && old.files == first().files && old.author == "files")
    #expect(try old.plan().version == first().version)
  }

  @Test func layersReplaceWhatTheyAreFor() throws {
    var shadow = try change(92)
    (shadow.mode, shadow.rules) = (.shadow, ["low"])
    let one = try shadow.deployment(after: try first(), now: 2).deployment
    #expect(try variants(one) == ["low/ 90 live ", "low/shadow 92 shadow ", "other/ 90 live "])
    var canary = try change(93)
    canary.units = ["ward-7", "ward-8"]
    let two = try canary.deployment(after: one, now: 3).deployment
    #expect(two.modeText == "live+shadow+canary")
    let inside = "(unit(ward-7) or unit(ward-8))"
    #expect(
      try variants(two) == [
        "low/ 90 live not \(inside)", "low/canary 93 live \(inside)", "low/shadow 92 shadow ",
        "other/ 90 live not \(inside)", "other/canary 93 live \(inside)",
      ])
    // A second canary takes the place of the first; the old rule is kept out of its units only.
    var moved = try change(94)
    (moved.units, moved.rules) = (["ward-9"], ["low"])
    let three = try moved.deployment(after: two, now: 4).deployment
    #expect(
      try variants(three).prefix(3) == [
        "low/ 90 live not (unit(ward-9))", "low/canary 94 live (unit(ward-9))", "low/shadow 92 shadow ",
      ])
    var promoted = try change(94)
    promoted.rules = ["low"]
    let four = try promoted.deployment(after: three, now: 5).deployment
    #expect(try variants(four).prefix(1) == ["low/ 94 live "])
    #expect(try variants(four).filter { $0.hasPrefix("low") }.count == 1)
    var off = try change(94)
    (off.mode, off.rules) = (.off, ["other"])
    let five = try off.deployment(after: four, now: 6).deployment
    #expect(try variants(five) == ["low/ 94 live ", "other/ 90 off "])
    // The whole directory, live, ends all of it.
    let six = try change(95).deployment(after: five, now: 7).deployment
    #expect(six.layers.isEmpty && six.number == 7 && six.previous == five.version)
    #expect(Set([one, two, three, four, five, six].map(\.version)).count == 6)
    let back = try RuleChange.rollback(
      [one, two, three, four, five, six], to: 3, author: "ann", approver: nil, reason: "back", now: 8
    ).deployment
    #expect(back.version == two.version && back.layers == two.layers && back.number == 8)
    #expect(back.files == six.files && back.restores == 3)
  }

  @Test func whatCannotBeIsRefusedInOneLine() throws {
    func line(_ limit: Int, _ edit: (inout RuleChange) -> Void) throws -> String {
      var change = try change(limit)
      edit(&change)
      let current = try first()
      do throws(RuleRefusal) {
        _ = try change.deployment(after: current, now: 2).deployment.checked(after: current, isProduction: false)
        return ""
      } catch {
        return error.line
      }
    }
    #expect(try line(90) { _ in }.contains("in force already"))
    #expect(try line(90) { $0.mode = .shadow }.contains("no rule of Rules differs"))
    #expect(try line(92) { $0.rules = ["lo"] }.contains("no rule `lo` in Rules, did you mean `low`?"))
    #expect(try line(90) { $0.rules = ["low"] }.contains("is the same in Rules as in force"))
    #expect(try line(92) { $0.mode = .off }.contains("--rule ID,..."))
    #expect(try line(92) { $0.units = ["ward 7"] }.contains("is not a care unit"))
    #expect(try line(92) { $0.author = "" }.contains("--author NAME"))
    #expect(try line(92) { $0.reason = "" }.contains("--reason TEXT"))
    #expect(try line(92) { $0.set = "none" }.contains("no rule set `none`"))
    #expect(
      try line(92) {
        $0.mode = .shadow
        $0.files.registryText += "\n# another text of the same registry\n"
      }.isEmpty)
    for text in try [line(99) { _ in }, line(92) { $0.rules = ["x"] }] { #expect(!text.isEmpty) }
  }

  // MARK: Signatures

  private func sign(_ deployment: inout RuleDeployment) throws {
    let head = try #require(bytes(hex: "302e020100300506032b657004220420"))
    let pem = "-----BEGIN PRIVATE KEY-----\n\(base64(head + sha256("a test key")))\n-----END PRIVATE KEY-----\n"
    guard let key = SigningKey(pem: Array(pem.utf8)) else { throw SupportError.child("no key") }
    deployment.sign(with: key)
  }

  @Test func aSignatureCoversEveryFact() throws {
    var change = try change(92)
    (change.units, change.approver) = (["ward-7"], "bob")
    var signed = try change.deployment(after: try first(), now: 2_000).deployment
    #expect(signed.verdict == .none)
    try sign(&signed)
    #expect(signed.verdict == .valid)
    let read = try #require(RuleDeployment(journaled: signed.journaled))
    #expect(read.verdict == .valid)
    let edits: [(inout RuleDeployment) -> Void] = [
      { $0.author = "eve" }, { $0.approver = nil }, { $0.reason += "." }, { $0.time += 1 }, { $0.number += 1 },
      { $0.version += "0" }, { $0.previous = nil }, { $0.set = "none" }, { $0.registry += " " },
      { $0.sources[0].text += " " }, { $0.layers[0].units = ["ward-8"] }, { $0.layers[0].rules = ["low"] },
      { $0.layers[0].mode = "shadow" }, { $0.layers[0].sources[0].text += " " }, { $0.layers = [] },
      { $0.author = "ann\"\napprover \"bob" },
    ]
    for (place, edit) in edits.enumerated() {
      var changed = signed
      edit(&changed)
      #expect(changed.verdict == .invalid, "edit \(place)")
    }
  }

  @Test func productionNeedsTwoPeopleAndASignature() throws {
    let current = try first()
    var change = try change(92)
    func line(_ isSigned: Bool) throws -> String {
      var next = try change.deployment(after: current, now: 2).deployment
      if isSigned { try sign(&next) }
      do throws(RuleRefusal) {
        _ = try next.checked(after: current, isProduction: true)
        return ""
      } catch {
        return error.line
      }
    }
    #expect(try line(true).contains("second person"))
    change.approver = "ann"
    #expect(try line(true).contains("second person"))
    change.approver = "bob"
    #expect(try line(false).contains("needs a signature"))
    #expect(try line(true).isEmpty)
  }

  // MARK: What differs

  @Test func differencesAreToldByRuleParameterAndLine() throws {
    func side(_ files: RuleFiles) throws -> RuleDifference.Side {
      .init(plan: try files.plan(set: nil)) { RuleDifference.document(ofRule: $0.id, in: files.sources)?.text }
    }
    var other = try files(92)
    other.sources.removeLast()
    other.sources[0].text = other.sources[0].text.replacingOccurrences(of: "for: 15s", with: "for: 20s")
    let difference = RuleDifference(try side(try files(90)), try side(other))
    #expect(difference.rules.map { "\($0.change.rawValue) \($0.id)" } == ["changed low", "removed other"])
    let changed = try #require(difference.rules.first)
    #expect(
      changed.fields == [
        .init(name: "limit", from: "90 % (80 to 95)", to: "92 % (80 to 95)"),
        .init(name: "for", from: "15s", to: "20s"),
      ])
    #expect(changed.lines.filter { $0.contains("limit:") }.count == 2)
    #expect(changed.lines.contains("-for: 15s") && changed.lines.contains("+for: 20s"))
    #expect(RuleDifference(try side(other), try side(other)).isEmpty)
  }

  @Test func alertsAreMatchedByPatientRuleAndTime() {
    func span(_ patient: String, _ rule: String, _ onset: Int64, _ end: Int64?) -> AlertSpan {
      AlertSpan(
        tenant: "demo", patient: patient, rule: rule, version: "v", priority: .medium, message: "", onset: onset,
        end: end)
    }
    let before = [span("a", "low", 10, 20), span("a", "low", 50, 60), span("b", "low", 10, nil)]
    let after = [
      span("a", "low", 15, 30), span("a", "low", 70, 80), span("b", "fast", 10, 20), span("b", "low", 99, nil),
    ]
    let comparison = AlertComparison(before: before, after: after)
    #expect(comparison.lost == [before[1]])
    #expect(comparison.gained == [after[2], after[1]])
    #expect(
      comparison.counts == [
        .init(rule: "fast", before: 0, after: 1, gained: 1, lost: 0),
        .init(rule: "low", before: 3, after: 3, gained: 1, lost: 1),
      ])
    var observed = ObservedTime()
    for (patient, time) in [(1, 0), (1, 86_400_000), (2, 43_200_000), (2, 0)] as [(UInt32, Int64)] {
      observed.note(patient: patient, at: time)
    }
    #expect(observed.patientDays == 1.5)
  }
}
