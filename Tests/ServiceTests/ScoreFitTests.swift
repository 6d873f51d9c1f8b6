import Foundation
import Recordings
import RuleLanguage
import Statistics
import TestSupport
import Testing
import VitalModel
import YAMLText

@testable import Service

/// Inputs of fitted scores: from the file to numbers of the engine, and back to a rule file that runs.
struct ScoreFitTests {
  private let registry: VitalRegistry
  private let files: RuleFiles

  init() throws {
    files = try RuleFiles.read(CommandProgram.rules)
    registry = try files.registry()
  }

  private static let inputs = """
    inputs: test-score
    title: Test score
    candidates:
      - { name: pulse, value: "mean(hr, 2h)", trend: rising }
      - { name: shock, value: "mean(hr, 2h) / mean(sbp, 2h)", resolution: 0.01, trend: rising, ends: [0.7, 0.9] }
      - { name: temperature, value: "newest(temp, 24h)", trend: either }

    """

  private func candidates(_ text: String = ScoreFitTests.inputs) throws -> ScoreCandidates {
    try ScoreCandidates(text: text, file: "in.yaml", registry: registry)
  }

  @Test func candidatesKnowTheirGrids() throws {
    let found = try candidates()
    #expect(found.id == "test-score")
    #expect(found.candidates.map(\.exponent) == [0, -2, -1])
    #expect(found.candidates[1].ends == [70, 90])
    #expect(found.candidates.map(\.trend) == [.rising, .rising, .either])
  }

  @Test(arguments: [
    ("mean(hr, 2h) / mean(sbp, 2h)\", resolution: 0.01", "mean(hrt, 2h)\"", "in.yaml:5:5: `shock`: "),
    ("trend: either", "trend: up", "in.yaml:6:"),
    ("ends: [0.7, 0.9]", "ends: [0.9, 0.7]", "in.yaml:5:"),
    ("name: shock", "name: pulse", "in.yaml:5:5: a second candidate `pulse`"),
  ])
  func whatIsWrongIsToldWithItsPlace(part: String, wrong: String, place: String) throws {
    let text = ScoreFitTests.inputs.replacing(part, with: wrong)
    let problems = #expect(throws: TextProblems.self) { try candidates(text) }
    #expect(problems?.all.first?.description.hasPrefix(place) == true, "\(problems?.description ?? "")")
  }

  /// A clock finds many events on hourly data: what counts hours is no input (SEMANTICS F3).
  @Test(arguments: [
    ("count(temp, 24h)", "`count` tells how often something was measured"),
    ("count_above(hr, 100, 6h)", "`count_above` tells how often"),
    ("sum(temp, 24h)", "`sum` grows with every sample"), ("area_above(temp, 38, 24h)", "`area_above` grows"),
    ("time_above(temp, 38, 24h)", "use `fraction_above`"), ("age(temp)", "`age` tells when something was measured"),
    ("mean(temp, 25h)", "a window of more than 24h encodes time in stay"),
    ("first(temp, 7d)", "`first` over more than 24h is the first value of the stay"),
    ("mean(temp, 200 samples)", "a window of more than 24 samples"),
    ("mean(temp, session 2h)", "a window without a fixed length"),
  ])
  func whatEncodesTimeInStayIsNoInput(value: String, reason: String) throws {
    let text = ScoreFitTests.inputs.replacing("newest(temp, 24h)\"", with: value + "\", resolution: 1")
    let problems = #expect(throws: TextProblems.self) { try candidates(text) }
    let line = problems?.all.first?.description ?? ""
    #expect(line.hasPrefix("in.yaml:6:5: `temperature`: ") && line.contains(reason), "\(line)")
  }

  @Test func theShippedInputsEncodeNoTime() throws {
    let path = CommandProgram.rules + "/examples/sepsis-inputs.yaml"
    let found = try candidates(String(contentsOfFile: path, encoding: .utf8))
    #expect(found.candidates.count > 30)
  }

  // MARK: Values

  private func table(_ csv: String) throws -> (FeatureTable, EvaluationCohort, [String]) {
    let folder = try TemporaryDirectory("fit")
    let path = try folder.write(csv, to: "in.csv")
    let options = ReplaySession.Options()
    let builder = FeatureTableBuilder(try candidates(), registry: registry, options: options)
    let reader = RecordingReader(
      [RecordingFile(path: path)], registry: registry, options: RecordingOptions(), refuse: { _ in })
    try reader.forEach { row in
      builder.take(row, names: reader.names)
      return true
    }
    let labels = try LabelSet(
      LabelTable("patient_id,onset_time_s,label\na,7200,ill\n", file: "l.csv", epoch: RecordingOptions().epoch),
      LabelSelection())
    let (table, watched) = builder.finish()
    return (table, watched.cohort(labels: labels), watched.names)
  }

  @Test func valuesAreThoseOfTheEngineAtEveryMessage() throws {
    let (table, cohort, names) = try self.table(
      """
      patient_id,time_s,hr,sbp,temp
      a,0,80,,37.04
      a,3600,90,120,
      a,7200,100,,
      b,0,,,
      b,3600,70,100,

      """)
    let unknown = ScoreFittingInput.unknown
    #expect(names == ["a", "b"])
    // A row without a value is no message.
    #expect(table.count == 4)
    #expect(table.values[0] == [80, 85, 95, 70])
    // 85/120 and 95/120 in hundredths, rounded half up.
    #expect(table.values[1] == [unknown, 71, 79, 70])
    #expect(table.values[2] == [370, 370, 370, unknown])
    var convention = EvaluationConvention()
    convention.lead = 3_600_000
    let rows = table.rows(try candidates(), cohort, names: names, convention)
    #expect(rows.truths == [.negative, .positive, .positive, .negative])
    #expect(rows.hours == [0, 1, 2, 0])
    #expect(rows.patients == [0, 0, 0, 1])
  }

  // MARK: Texts

  /// Two items fitted on rows in which high values go before events.
  private func fitted() throws -> (FittedScoreText, ScoreFitting) {
    var (patients, hours, truths): ([Int32], [Int32], [ScoreFittingRows.Truth]) = ([], [], [])
    var (pulse, shock): ([Int32], [Int32]) = ([], [])
    for patient in 0..<60 {
      for hour in 0..<10 {
        let isIll = patient < 20 && hour > 4
        patients.append(Int32(patient))
        hours.append(Int32(hour))
        truths.append(isIll ? .positive : .negative)
        pulse.append(Int32(70 + (patient * 7 + hour * 3) % 30 + (isIll && hour % 2 == 0 ? 30 : 0)))
        shock.append(Int32(50 + (patient * 11 + hour * 5) % 30 + (isIll && hour % 2 == 1 ? 40 : 0)))
      }
    }
    let rows = ScoreFittingRows(
      patients: patients, hours: hours, truths: truths,
      inputs: [
        ScoreFittingInput(name: "pulse", trend: .rising, values: pulse),
        ScoreFittingInput(name: "shock", trend: .rising, values: shock, edges: [70, 90]),
      ])
    let fit = ScoreFitting(rows) { _ in true }
    return (FittedScoreText(fit, id: "test-score", try candidates()), fit)
  }

  @Test func aFittedScoreIsARuleFileThatRunsAlone() throws {
    let (text, fit) = try fitted()
    #expect(fit.items.count == 2)
    let policy = FittedScoreText.Policy(limit: 3, margin: 1, refractory: 14_400_000, renew: 57_600_000)
    let source = text.source(
      policy, path: "test-score.yaml", provenance: "sha256:0, \"seed\" 1", head: ["", "by hand"])
    var alone = files
    alone.sources = [source]
    let plan = try alone.plan(set: nil)
    let rule = try #require(plan.rules.first)
    #expect(rule.id == "test-score")
    #expect(rule.source == "sha256:0, \"seed\" 1")
    #expect(rule.refractory == 14_400_000)
    #expect(rule.limit?.value.double == 3)
    let chart = try #require(plan.scores.first)
    #expect(chart.id == "test_score")
    #expect(chart.components.map(\.pointsMax).reduce(0, +) == fit.most)
    for (component, item) in zip(chart.components, fit.items) {
      for value: Int32 in [0, 40, 69, 70, 71, 89, 90, 91, 100, 130] {
        #expect(component.bands?.points(Int64(value)) == item.points(value))
      }
    }
  }

  @Test func bandsAreWordsForPeople() throws {
    let (text, _) = try fitted()
    let shock = try #require(text.table.first { $0.name == "shock" })
    #expect(shock.bands.first?.range.hasPrefix("up to 0.") == true)
    #expect(shock.bands.last?.range.hasPrefix("above 0.") == true)
    #expect(shock.bands.map(\.points) == shock.bands.map(\.points).sorted())
  }

  @Test func theShippedInputsAreSound() throws {
    let path = CommandProgram.rules + "/examples/sepsis-inputs.yaml"
    let found = try ScoreCandidates(
      text: String(contentsOfFile: path, encoding: .utf8), file: path, registry: registry)
    #expect(found.candidates.count > 20)
    // Examples are no part of the directory's rules.
    #expect(!files.sources.contains { $0.path.hasPrefix("examples/") })
  }
}
