import VitalModel

/// Results as JUnit XML: one `testsuite` a rule file, one `testcase` a test, `classname` the rule.
package enum JUnitText {
  package static func write(_ report: RuleTestReport) -> String {
    var files: [String] = []
    for result in report.results where !files.contains(result.file) { files.append(result.file) }
    var lines = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>"]
    let all = report.results.flatMap(\.outcomes)
    lines.append(
      "<testsuites name=\"vigil test\" tests=\"\(all.count)\" failures=\"\(report.failedCount)\" errors=\"0\""
        + " time=\"\(seconds(all))\">")
    for file in files {
      let results = report.results.filter { $0.file == file }
      let outcomes = results.flatMap(\.outcomes)
      let failed = outcomes.filter { !$0.passed }.count
      lines.append(
        "  <testsuite name=\"\(attribute(file))\" tests=\"\(outcomes.count)\" failures=\"\(failed)\" errors=\"0\""
          + " skipped=\"0\" time=\"\(seconds(outcomes))\">")
      for result in results {
        for outcome in result.outcomes { lines += testcase(outcome, of: result) }
      }
      lines.append("  </testsuite>")
    }
    lines.append("</testsuites>")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func testcase(_ outcome: RuleTestResult.Outcome, of result: RuleTestResult) -> [String] {
    let start =
      "    <testcase name=\"\(attribute(outcome.name))\" classname=\"\(attribute(result.rule))\""
      + " time=\"\(seconds([outcome]))\""
    if outcome.passed { return [start + "/>"] }
    let place = "\(result.file):\(outcome.line)"
    return [
      start + ">",
      "      <failure message=\"\(attribute("the alerts differ from those expected (\(place))"))\" type=\"alerts\">"
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
