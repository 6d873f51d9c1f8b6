import Evaluation
import VitalModel

/// What a failed test prints: the transitions side by side, and the values behind them.
struct FailureText {
  let bench: RuleBench
  let run: RuleTestRun
  let observed: Observed

  /// Rows of the strip at most: what a screen takes.
  static let rowsMax = 18

  var lines: [String] {
    var lines: [String] = []
    var times: [Int64] = []
    let pairs = FailureText.aligned(run.test.expected, observed.transitions) { $1.meets($0) }
    lines += sideBySide(
      pairs.map { ($0?.text ?? "nothing", $1?.text(like: $0) ?? "nothing") },
      isEqual: pairs.map { expected, made in expected.map { made?.meets($0) ?? false } ?? false })
    for (expected, made) in pairs where !(expected.map { made?.meets($0) ?? false } ?? false) {
      times += [expected?.time, made?.time].compactMap { $0 }
    }
    if let suppressed = run.test.suppressed, suppressed != observed.held {
      let held = FailureText.aligned(suppressed, observed.held, ==)
      lines.append("suppressed:")
      lines += sideBySide(
        held.map { ($0?.text ?? "nothing", $1?.text ?? "nothing") }, isEqual: held.map { $0 == $1 })
      for (expected, made) in held where expected != made { times += [expected?.time, made?.time].compactMap { $0 } }
    }
    return lines + strip(around: times)
  }

  private func sideBySide(_ rows: [(String, String)], isEqual: [Bool]) -> [String] {
    if rows.isEmpty { return [] }
    let left = ["expected"] + rows.map(\.0)
    let width = left.map(\.count).max() ?? 0
    let marks = ["  "] + isEqual.map { $0 ? "  " : "≠ " }
    let right = ["actual"] + rows.map(\.1)
    return zip(zip(left, marks), right).map { pair, right in
      pair.0 + String(repeating: " ", count: width - pair.0.count + 2) + pair.1 + right
    }
  }

  /// Pairs what agrees, in order (longest common subsequence); what is between is paired as it comes.
  static func aligned<A, B>(_ a: [A], _ b: [B], _ agree: (A, B) -> Bool) -> [(A?, B?)] {
    var length = Array(repeating: Array(repeating: 0, count: b.count + 1), count: a.count + 1)
    for i in a.indices.reversed() {
      for j in b.indices.reversed() {
        length[i][j] = agree(a[i], b[j]) ? length[i + 1][j + 1] + 1 : max(length[i + 1][j], length[i][j + 1])
      }
    }
    var pairs: [(A?, B?)] = []
    var i = 0
    var j = 0
    var lefts: [A] = []
    var rights: [B] = []
    func flush() {
      for index in 0..<max(lefts.count, rights.count) {
        pairs.append(
          (index < lefts.count ? lefts[index] : nil, index < rights.count ? rights[index] : nil))
      }
      lefts = []
      rights = []
    }
    while i < a.count || j < b.count {
      if i < a.count, j < b.count, agree(a[i], b[j]) {
        flush()
        pairs.append((a[i], b[j]))
        i += 1
        j += 1
      } else if j == b.count || (i < a.count && length[i + 1][j] >= length[i][j + 1]) {
        lefts.append(a[i])
        i += 1
      } else {
        rights.append(b[j])
        j += 1
      }
    }
    flush()
    return pairs
  }

  // MARK: Values

  /// Two ticks before and after each time: samples, what the rule computes from them, and what its conditions say.
  private func strip(around times: [Int64]) -> [String] {
    let tick = run.test.tick
    var wanted: [Int64] = []
    for time in times {
      for step in Int64(-2)...2 where !wanted.contains(time + step * tick) { wanted.append(time + step * tick) }
      if wanted.count >= FailureText.rowsMax { break }
    }
    let chosen = Set(wanted)
    let rule = bench.rule
    let words = ProgramWords(rule: rule, plan: bench.plan)
    var numbers: [ProgramTree] = []
    for input in rule.features.indices.map({ Instruction.feature($0) })
      + RulePart.all(of: rule).compactMap({ $0.tree(of: rule) }).flatMap(\.inputs)
    {
      if case .attribute = input { continue }
      if !numbers.contains(where: { $0.instruction == input }) { numbers.append(ProgramTree(input)) }
    }
    let parts = RulePart.all(of: rule)
    let items =
      numbers.map { RuleProbe.Item(tree: $0) }
      + parts.compactMap { part in part.tree(of: rule).map { RuleProbe.Item(tree: $0, forClear: part == .clear) } }
    let series = run.test.series
    var rows = [["time"] + series.map(\.name) + numbers.map { words.text($0) } + parts.map(\.key)]
    var last: Int64?
    RuleProbe(bench: bench, items: items).run(run) { moment in
      guard chosen.contains(moment.time), let subject = moment.subjects.first else { return }
      if let last, moment.time - last > tick { rows.append(["..."]) }
      last = moment.time
      var row = [ClockText.format(moment.time)]
      for one in series {
        row.append(one.samples.first { $0.time == moment.time }.map { text($0, of: one) } ?? "-")
      }
      for (index, item) in items.enumerated() {
        let value = moment.value(index, subject: subject)
        row.append(index < numbers.count ? text(value, of: item.tree.instruction) : FailureText.text(Truth(value)))
      }
      rows.append(row)
    }
    return rows.count > 1 ? FailureText.table(rows) : []
  }

  private func text(_ value: Double, of input: Instruction) -> String {
    guard case .feature(let index) = input else { return ProgramWords.number(value) }
    let kind = bench.rule.features[index].kind
    if kind.isTruth { return FailureText.text(Truth(value)) }
    return ProgramWords.isTime(kind) ? ProgramWords.time(value) : ProgramWords.number(value)
  }

  private func text(_ sample: TestSample, of series: TestSeries) -> String {
    let vital = bench.plan.registry[series.code]
    let letter = vital.letters.first { DecimalValue(mantissa: $0.value).isSameNumber(as: sample.value) }?.text
    var text = letter ?? sample.value.description
    if let quality = sample.quality.text { text += "?" + quality }
    if sample.status != .ok { text += "!" + sample.status.text }
    return text
  }

  private static func text(_ truth: Truth) -> String {
    switch truth {
    case .yes: "yes"
    case .no: "no"
    case .unknown: "?"
    }
  }

  private static func table(_ rows: [[String]]) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        line += cell
        if column + 1 < row.count { line += String(repeating: " ", count: widths[column] - cell.count + 2) }
      }
      return line
    }
  }
}
