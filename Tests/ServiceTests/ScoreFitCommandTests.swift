import Foundation
import TestSupport
import Testing

/// `vigil tune --fit-score`, as a person would use it (docs/score-fitting.md).
@Suite struct ScoreFitCommandTests {
  /// Two days, hourly: heart rate and pressure of every third patient go wrong half a day before the event.
  private static func ward() -> (recording: String, labels: String) {
    var generator = SeededGenerator(seed: 5)
    func draw(_ below: Int) -> Int { Int.random(in: 0..<below, using: &generator) }
    var text = "patient_id,time_s,hr,sbp,resp\n"
    var labels = "patient_id,onset_time_s,label\n"
    for patient in 0..<72 {
      let onset = patient % 3 == 0 ? 24 + draw(20) : nil
      if let onset { labels += "p\(patient),\(onset * 3600),ill\n" }
      for hour in 0..<48 {
        let isIll = onset.map { $0 - 12 <= hour && hour <= $0 + 3 } ?? false
        let pulse = 70 + draw(25) + (isIll ? 25 : 0)
        let pressure = 115 + draw(30) - (isIll && draw(3) > 0 ? 30 : 0)
        text += "p\(patient),\(hour * 3600),\(pulse),\(pressure),\(14 + draw(6))\n"
      }
    }
    return (text, labels)
  }

  private static let inputs = """
    inputs: test
    title: Test score
    candidates:
      - { name: pulse, value: "mean(hr, 3h)", trend: rising }
      - { name: pressure, value: "mean(sbp, 3h)", trend: falling }
      - { name: respiration, value: "mean(resp, 3h)", trend: either }

    """

  private func number(_ json: Any?, _ path: String...) -> Double? {
    var place = json
    for key in path { place = (place as? [String: Any])?[key] }
    return (place as? NSNumber)?.doubleValue
  }

  @Test func aScoreIsFittedWrittenAndJudgedAlikeByEvaluate() throws {
    let program = try CommandProgram("fit")
    let ward = ScoreFitCommandTests.ward()
    let recording = try program.folder.write(ward.recording, to: "in.csv")
    let labels = try program.folder.write(ward.labels, to: "labels.csv")
    let inputs = try program.folder.write(ScoreFitCommandTests.inputs, to: "inputs.yaml")
    let written = program.folder.file("fitted.yaml")
    let judging = ["--labels", labels, "--lead", "12h", "--grace", "3h", "--resamples", "1000"]
    let outcome = try program.run(
      [
        "tune", recording, "--fit-score", "test-score", "--inputs", inputs, "--budget", "1/patient-day", "--folds", "2",
        "--items", "2", "--rules", CommandProgram.rules, "--write-rule", written, "--json", "-",
      ] + judging)
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    let fit = commandJSON(outcome.stdout)
    let items = fit["items"] as? [[String: Any]] ?? []
    #expect(Set(items.compactMap { $0["name"] as? String }) == ["pulse", "pressure"])
    let budget = try #require((fit["budgets"] as? [[String: Any]])?.first)
    #expect(number(budget, "per_patient_day") == 1)
    #expect(number(budget, "cross_validated", "sensitivity", "value") ?? 0 > 0.6)
    #expect(number(budget, "cross_validated", "margin", "value") ?? 0 > 0.2)

    #expect(number(fit, "chance", "sensitivity") == number(budget, "apparent", "sensitivity", "value"))
    #expect(number(fit, "chance", "rotated") != nil && number(fit, "chance", "clock") != nil)
    #expect(number(fit, "labels", "excluded") == 0 && number(budget, "cross_validated", "without_controls") == 0)

    let evaluated = try program.run(["evaluate", recording, "--rules", written, "--json", "-"] + judging)
    #expect(evaluated.status == .code(0), "\(evaluated.stderr)")
    let report = commandJSON(evaluated.stdout)
    #expect(number(report, "events", "detected") == number(budget, "apparent", "detected"))
    #expect(number(report, "alerts", "n") == number(budget, "apparent", "alerts"))
  }

  @Test func withoutInputsItSaysWhatIsMissing() throws {
    let program = try CommandProgram("fit")
    let recording = try program.folder.write("patient_id,time_s,hr\na,0,80\n", to: "in.csv")
    let outcome = try program.run(["tune", recording, "--fit-score", "x", "--rules", CommandProgram.rules])
    #expect(outcome.status == .code(2))
    #expect(outcome.stderr.contains("`--fit-score` needs `--inputs FILE`"))
    let other = try program.run(
      ["tune", recording, "--fit-score", "x", "--beta", "2", "--rules", CommandProgram.rules])
    #expect(other.status == .code(2) && other.stderr.contains("`--beta` is not for `--fit-score`"))
  }
}
