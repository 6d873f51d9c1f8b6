import VitalModel

/// Results as JUnit XML: one `testsuite` a rule file, one `testcase` a test, `classname` the rule.
package enum JUnitText {
  package static func write(_ report: RuleTestReport) -> String {
    var files: [String] = []
    for result in report.results where !files.contains(result.file) { files.append(result.file) }
    var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>"]
    let all = report.results.flatMap { outcomes(of: $0, report) }
    lines.append(
      "<testsuites name=\"vigil test\" tests=\"\(all.count)\" failures=\"\(failures(all))\" errors=\"0\""
        + " time=\"\(seconds(all))\">")
    for file in files {
      let results = report.results.filter { $0.file == file }
      let own = results.flatMap { outcomes(of: $0, report) }
      lines.append(
        "  <testsuite name=\"\(attribute(file))\" tests=\"\(own.count)\" failures=\"\(failures(own))\" errors=\"0\""
          + " skipped=\"0\" time=\"\(seconds(own))\">")
      for result in results {
        for outcome in outcomes(of: result, report) { lines += testcase(outcome, of: result) }
      }
      lines.append("  </testsuite>")
    }
    lines.append("</testsuites>")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func failures(_ outcomes: [RuleTestResult.Outcome]) -> Int { outcomes.filter { !$0.passed }.count }

  /// Its tests; where tests are required and there are none, one that says so.
  private static func outcomes(of result: RuleTestResult, _ report: RuleTestReport) -> [RuleTestResult.Outcome] {
    guard result.outcomes.isEmpty, report.requiresTests else { return result.outcomes }
    return [
      RuleTestResult.Outcome(
        name: "has tests", line: result.line, passed: false, details: ["\(result.rule) has no tests"], seconds: 0)
    ]
  }

  private static func testcase(_ outcome: RuleTestResult.Outcome, of result: RuleTestResult) -> [String] {
    let start =
      "    <testcase name=\"\(attribute(outcome.name))\" classname=\"\(attribute(result.rule))\""
      + " time=\"\(seconds([outcome]))\""
    if outcome.passed { return [start + "/>"] }
    let place = "\(result.file):\(outcome.line)"
    return [
      start + ">",
      "      <failure message=\"\(attribute("not as expected (\(place))"))\" type=\"alerts\">"
        + text(outcome.details.joined(separator: "\n")) + "</failure>",
      "    </testcase>",
    ]
  }

  /// Three digits behind the point.
  private static func seconds(_ outcomes: [RuleTestResult.Outcome]) -> String {
    let total = outcomes.reduce(0) { $0 + $1.seconds }
    guard total.isFinite, total >= 0, total < 1e9 else { return "0.000" }
    return DecimalValue(mantissa: Int64((total * 1000).rounded()), exponent: -3).description
  }

  private static func attribute(_ text: String) -> String {
    var out = ""
    for scalar in self.text(text).unicodeScalars {
      switch scalar {
      case "\"": out += "&quot;"
      case "\n", "\t": out += "&#\(scalar.value);"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }

  /// Character data: what XML 1.0 does not allow becomes U+FFFD.
  private static func text(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\r": out += "&#13;"
      case "\n", "\t": out.unicodeScalars.append(scalar)
      case _ where scalar.value < 32 || (0xFFFE...0xFFFF).contains(scalar.value): out += "\u{FFFD}"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}
