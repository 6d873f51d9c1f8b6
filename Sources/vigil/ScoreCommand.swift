import Compression
import Evaluation
import Recordings
import Service
import VitalModel
import YAMLText

/// `vigil score`: a score for each row of a table, by the chart and code the engine runs.
enum ScoreCommand {
  static let command = Command(
    name: "score", summary: "an early-warning score for each row of a CSV or JSON lines file",
    example: "vigil score news2 observations.csv --json",
    flags: [
      Flag("--rules", "DIR", "rule directory with vitals.yaml and scores/ (default Rules)"),
      Flag("--json", "one JSON object a line instead of CSV"),
    ], positional: "SCORE FILE|-", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(2...2, "score SCORE FILE|- [--rules DIR] [--json]")
    let (score, registry) = try find(arguments.positional[0], rules: arguments.value("--rules") ?? "Rules")
    let path = arguments.positional[1]
    let name = path == "-" ? "standard input" : path
    let source: any ByteSource
    do throws(CompressionError) {
      source = path == "-" ? try openByteSource(descriptor: 0, name: name) : try openByteSource(path: path)
    } catch {
      throw CommandFailure(ExitCode.failed, RecordingError(error, file: name, line: 0).description)
    }
    let columns = ScoreColumns(score, registry: registry)
    var run = ScoreRun(
      name: name, columns: columns, table: try ScoreTable(source, name: name), asJSON: arguments.has("--json"))
    return try run.all()
  }

  private static func find(
    _ id: String, rules: String
  ) throws(CommandFailure) -> (ScoreDefinition, VitalRegistry) {
    let scores: [ScoreDefinition]
    let registry: VitalRegistry
    do throws(RuleFiles.Failure) {
      let files = try RuleFiles.read(rules)
      registry = try files.registry()
      scores = try files.scores(registry: registry)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
    if let score = scores.first(where: { $0.id == id }) {
      if let component = score.needsHistory, let text = component.expression?.program.text {
        throw CommandFailure(
          ExitCode.usage,
          "`\(id)` looks back in time (`\(component.name)`: \(text)), and a row has no past: run a rule on it with `vigil replay`"
        )
      }
      return (score, registry)
    }
    let hint = Suggestion.nearest(id, among: scores.map(\.id)).map { ", did you mean `\($0)`?" } ?? ""
    throw CommandFailure(
      ExitCode.usage, "no score `\(id)`\(hint) (scores: \(scores.map(\.id).joined(separator: ", ")))")
  }
}

/// One table being scored.
struct ScoreRun {
  let name: String
  let columns: ScoreColumns
  var table: ScoreTable
  let asJSON: Bool

  /// Problems listed one by one; the rest are only counted.
  static let problemsMax = 100
  /// Bytes gathered before they are written.
  static let bufferMax = 1 << 16

  private let calculator: ScoreCalculator
  private var roles: [String: ScoreColumns.Role] = [:]
  private var rows = 0
  private var scored = 0
  private var problems = 0
  private var out = ""

  private var score: ScoreDefinition { columns.score }

  init(name: String, columns: ScoreColumns, table: ScoreTable, asJSON: Bool) {
    self.name = name
    self.columns = columns
    self.table = table
    self.asJSON = asJSON
    calculator = ScoreCalculator(columns.score, registry: columns.registry)
  }

  /// - Returns: the exit code: 1 if any cell or row could not be used.
  mutating func all() throws(CommandFailure) -> Int32 {
    try checkHeader()
    if !asJSON { line(header) }
    while let row = try table.next() {
      rows += 1
      switch row {
      case .unreadable(let why): problem("\(place): \(why)")
      case .cells(let cells): evaluate(cells)
      }
      if out.utf8.count > ScoreRun.bufferMax { flush() }
    }
    flush()
    guard problems > 0 else { return ExitCode.ok }
    printError("vigil: \(name): \(problems) cells or rows could not be used; \(scored) of \(rows) rows scored")
    return ExitCode.failed
  }

  private var place: String { "\(name): row \(rows) (line \(table.line))" }

  private mutating func problem(_ text: String) {
    problems += 1
    if problems <= ScoreRun.problemsMax { printError("vigil: \(text)") }
    if problems == ScoreRun.problemsMax { printError("vigil: \(name): further ones are only counted") }
  }

  private mutating func role(_ column: String) -> ScoreColumns.Role {
    if let known = roles[column] { return known }
    let role = columns.role(column)
    roles[column] = role
    return role
  }

  // MARK: Columns

  private mutating func checkHeader() throws(CommandFailure) {
    var first: [ScoreColumns.Role: String] = [:]
    var hasInput = false
    for column in table.columns {
      let role = role(column)
      if role == .other {
        if !asJSON, added.contains(column) {
          throw CommandFailure(ExitCode.failed, "\(name): column `\(column)` has the name of a result: rename it")
        }
        continue
      }
      if case .vital = role { hasInput = true }
      guard !table.isJSON else { continue }
      if let other = first.updateValue(column, forKey: ScoreRun.identity(role)) {
        throw CommandFailure(ExitCode.failed, "\(name): columns `\(other)` and `\(column)` give the same: keep one")
      }
    }
    if !hasInput, !table.isJSON {
      throw CommandFailure(
        ExitCode.failed,
        "\(name): no column is an input of \(score.id) (\(columns.inputKeys.joined(separator: ", ")))")
    }
  }

  /// Columns of one vital in different units are the same.
  private static func identity(_ role: ScoreColumns.Role) -> ScoreColumns.Role {
    if case .vital(let code, _) = role { return .vital(code, unit: 0) }
    return role
  }

  /// Names of what is added to each row.
  private var added: [String] {
    ["total", "complete"] + score.components.map { $0.name + "_points" }
      + derived.map { score.components[$0].name + "_value" }
      + ["missing", "trigger"]
  }

  /// Components whose number is no input of its own.
  private var derived: [Int] { score.components.indices.filter { score.components[$0].valueExponent != nil } }

  private var header: String { (table.columns + added).map(ScoreTable.csv).joined(separator: ",") }

  // MARK: Rows

  private mutating func evaluate(_ cells: [ScoreCell]) {
    for cell in cells { _ = role(cell.column) }
    let known = roles
    let facts = columns.read(cells) { known[$0] ?? .other }
    for bad in facts.bad { problem("\(place), column `\(bad.column)`: \(bad.why)") }
    let state = calculator.evaluate(facts.values, facts.circumstances)
    scored += 1
    if asJSON {
      line(json(state, facts, cells))
      return
    }
    for cell in cells where table.isJSON && !table.columns.contains(cell.column) {
      problem("\(place), column `\(cell.column)`: not in the first row; --json passes it through")
    }
    line(csv(state, cells))
  }

  private func missing(_ state: ScoreState) -> [String] {
    score.components.indices.filter { state.points[$0] < 0 }.map { score.components[$0].name }
  }

  private func trigger(_ state: ScoreState) -> String? {
    score.trigger(total: Int(state.total), single: Int(state.singleMax), isComplete: state.isComplete)?.name
  }

  private func number(_ state: ScoreState, _ index: Int) -> DecimalValue? {
    guard state.points[index] >= 0, state.inputs[index] != ScoreState.absentInput,
      let exponent = score.components[index].valueExponent
    else { return nil }
    return DecimalValue(mantissa: Int64(state.inputs[index]), exponent: Int8(exponent))
  }

  private func csv(_ state: ScoreState, _ cells: [ScoreCell]) -> String {
    var fields: [String]
    if table.isJSON {
      let texts = Dictionary(cells.map { ($0.column, $0.text ?? "") }, uniquingKeysWith: { first, _ in first })
      fields = table.columns.map { texts[$0] ?? "" }
    } else {
      fields = cells.map { $0.text ?? "" }
    }
    fields.append(state.knownCount == 0 ? "" : String(state.total))
    fields.append(state.isComplete ? "true" : "false")
    fields += score.components.indices.map { state.points[$0] < 0 ? "" : String(state.points[$0]) }
    fields += derived.map { number(state, $0)?.description ?? "" }
    fields.append(missing(state).joined(separator: ";"))
    fields.append(trigger(state) ?? "")
    return fields.map(ScoreTable.csv).joined(separator: ",")
  }

  private static let reserved: Set = [
    "patient", "time", "total", "complete", "components", "values", "missing", "trigger",
  ]

  private func json(_ state: ScoreState, _ facts: ScoreColumns.Facts, _ cells: [ScoreCell]) -> String {
    var out = JSONText()
    out.object { out in
      out.field("patient", facts.patient)
      out.raw("time", facts.time)
      out.field("total", state.knownCount == 0 ? nil : Int(state.total))
      out.field("complete", state.isComplete)
      out.object("components") { out in
        for (index, component) in score.components.enumerated() {
          out.field(component.name, state.points[index] < 0 ? nil : Int(state.points[index]))
        }
      }
      if !derived.isEmpty {
        out.object("values") { out in
          for index in derived { out.field(score.components[index].name, number(state, index)) }
        }
      }
      out.field("missing", missing(state))
      out.field("trigger", trigger(state))
      for cell in cells where roles[cell.column] == .other {
        // A column with the name of a result keeps its value under a name of its own.
        out.raw(ScoreRun.reserved.contains(cell.column) ? "input_" + cell.column : cell.column, cell.json)
      }
    }
    return out.text
  }

  private mutating func line(_ text: String) { out += text + "\n" }

  private mutating func flush() {
    write(out, to: 1)
    out = ""
  }
}
