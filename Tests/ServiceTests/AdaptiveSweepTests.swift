import Foundation
import Pipeline
import RuleLanguage
import Statistics
import TestSupport
import Testing
import VitalModel

@testable import Service

/// Bounds of limits that follow the patient are swept like any other number (issue 6).
@Suite struct AdaptiveSweepTests {
  private static let rule = """
    rule: low
    title: Low saturation
    source: a test
    rationale: a test
    priority: medium
    parameters:
      limit: { default: 90, min: 80, max: 95, unit: "%" }
    when: median(spo2, 5m) < $limit
    for: 0s
    adapt: { limit: { to: "baseline(spo2, 1h, 70, 100) - 1", floor: 84, ceiling: 92 } }
    message: "SpO2 {value} % (limit {limit})"

    """

  private static func rules(_ folder: TemporaryDirectory) throws -> SweepRules {
    try FileManager.default.createDirectory(atPath: folder.file("rules/adult"), withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      atPath: CommandProgram.rules + "/vitals.yaml", toPath: folder.file("rules/vitals.yaml"))
    _ = try folder.write(rule, to: "rules/adult/low.yaml")
    return try SweepRules(files: RuleFiles.read(folder.file("rules")), set: nil)
  }

  private static func setting(_ values: [String: Int64]) -> SweepSetting {
    SweepSetting(
      Dictionary(
        uniqueKeysWithValues: values.map {
          (SweepName(rule: "low", name: $0.key), DecimalValue(mantissa: $0.value))
        }))
  }

  @Test func boundsAreSweptAsIfEachRanAlone() throws {
    let rules = try Self.rules(try TemporaryDirectory("adaptive-sweep"))
    let settings = ([(84, 85), (84, 89), (88, 89), (90, 95)] as [(Int64, Int64)]).map { floor, ceiling in
      Self.setting(["adapt.limit.floor": floor, "adapt.limit.ceiling": ceiling])
    }
    let worlds = try settings.map { try rules.world(of: ["low"], $0) }
    let ward = SweepWard(seed: 4, step: 60_000, rows: 300)
    var options = ReplaySession.Options()
    let still = SettingSweep(worlds: worlds, options: options).run { ward.feed($0) }
    #expect(Set(still.alerts).count == 1 && still.alerts[0].count > 0, "off: a limit stays where it is")
    options.engine.alerting.isAdaptive = true
    let together = SettingSweep(worlds: worlds, options: options).run { ward.feed($0) }
    let alone = SettingSweep(worlds: worlds, options: options, worldsAtOnce: 1).run { ward.feed($0) }
    #expect(together.alerts == alone.alerts)
    #expect(together.notifications == alone.notifications)
    #expect(Set(together.alerts).count == settings.count, "every pair of bounds tells something else")
  }

  @Test func aRuleWithOtherBoundsIsWrittenAndReadBack() throws {
    let rules = try Self.rules(try TemporaryDirectory("adaptive-text"))
    let names = try #require(rules.names(of: "low")).filter { $0.name.hasPrefix("adapt.") }
    #expect(names.map(\.name) == ["adapt.limit.floor", "adapt.limit.ceiling"])
    #expect(names.map(\.value.double) == [84, 92] && names.allSatisfy { $0.lowest?.double == 80 && $0.isKey })
    let setting = Self.setting(["adapt.limit.floor": 86, "limit": 91])
    let text = try rules.text(of: ["low"], setting, source: "tuned")
    let definition = try #require(try rules.world(of: ["low"], setting).plan.rules.first)
    #expect(definition.adaptations.map(\.floor.double) == [86] && definition.adaptations.map(\.ceiling.double) == [92])
    let folder = try TemporaryDirectory("adaptive-read")
    let file = try folder.write(text, to: "tuned.yaml")
    let read = try RuleFiles.read(file, defaults: CommandProgram.rules).plan(set: nil).rules
    #expect(read.map(\.adaptations) == [definition.adaptations] && read[0].parameters[0].value.double == 91)
    #expect(throws: SweepProblem.self) {
      try rules.world(of: ["low"], Self.setting(["adapt.limit.floor": 92]))
    }
    #expect(throws: SweepProblem.self) {
      try rules.world(of: ["low"], Self.setting(["adapt.hold.floor": 92]))
    }
  }
}
