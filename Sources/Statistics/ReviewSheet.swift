import VitalModel

/// One alert for somebody to judge.
package struct ReviewItem: Hashable, Sendable {
  package var alertID: String
  package var rule: String
  package var title: String
  package var priority: Priority
  /// When it was detected, milliseconds since 1970.
  package var time: Int64
  package var patient: String
  /// Registry key; nil: the rule is about none, or about several.
  package var code: String?
  package var value: DecimalValue?
  package var unit: String?
  package var trace: TraceThumbnail?

  package init(
    alertID: String, rule: String, title: String = "", priority: Priority = .medium, time: Int64, patient: String,
    code: String? = nil, value: DecimalValue? = nil, unit: String? = nil, trace: TraceThumbnail? = nil
  ) {
    self.alertID = alertID
    self.rule = rule
    self.title = title
    self.priority = priority
    self.time = time
    self.patient = patient
    self.code = code
    self.value = value
    self.unit = unit
    self.trace = trace
  }
}

/// Alerts as reviewers get them: a table for a spreadsheet, or JSON with drawings.
package enum ReviewSheet {
  package static let columns = [
    "alert_id", "rule", "title", "priority", "time", "vital", "value", "unit", "patient", "trace", "verdict",
    "reviewer",
    "comment",
  ]

  /// At most `count` items of each rule, drawn by the seed; in the order given.
  package static func drawn(_ items: [ReviewItem], perRule count: Int, seed: UInt64) -> [ReviewItem] {
    var kept: Set<Int> = []
    for (number, rule) in Set(items.map(\.rule)).sorted().enumerated() {
      var places = items.indices.filter { items[$0].rule == rule }
      var sampler = Resampler(seed: seed &+ UInt64(number))
      // The first steps of a shuffle (Fisher and Yates 1938).
      for step in 0..<min(count, places.count) {
        places.swapAt(step, step + sampler.index(below: places.count - step))
        kept.insert(places[step])
      }
    }
    return items.indices.filter(kept.contains).map { items[$0] }
  }

  /// Numbers instead of patients: 1 for the first name in order.
  package static func numbers(_ items: [ReviewItem]) -> [String: Int] {
    Dictionary(uniqueKeysWithValues: Set(items.map(\.patient)).sorted().enumerated().map { ($1, $0 + 1) })
  }

  /// - Parameter withPatients: a column `patient_id` with names instead of `patient` with numbers.
  package static func csv(_ items: [ReviewItem], withPatients: Bool) -> String {
    let numbers = numbers(items)
    let header = columns.map { $0 == "patient" && withPatients ? "patient_id" : $0 }
    var text = header.joined(separator: ",") + "\n"
    for item in items {
      let cells = [
        item.alertID, item.rule, item.title, item.priority.text, Timestamp.format(item.time), item.code ?? "",
        item.value?.description ?? "", item.unit ?? "", withPatients ? item.patient : "\(numbers[item.patient] ?? 0)",
        item.trace?.sparkline ?? "", "", "", "",
      ]
      text += cells.map(SheetText.cell).joined(separator: ",") + "\n"
    }
    return text
  }

  package static func json(_ items: [ReviewItem], withPatients: Bool) -> String {
    let numbers = numbers(items)
    var out = JSONText()
    out.object { out in
      out.array("alerts") { out in
        for item in items {
          out.object { out in
            out.field("alert_id", item.alertID)
            out.field("rule", item.rule)
            out.field("title", item.title)
            out.field("priority", item.priority.text)
            out.field("time", Timestamp.format(item.time))
            out.field("vital", item.code)
            out.field("value", item.value)
            out.field("unit", item.unit)
            if withPatients {
              out.field("patient_id", item.patient)
            } else {
              out.field("patient", numbers[item.patient])
            }
            write(item.trace, to: &out)
            out.null("verdict")
            out.null("reviewer")
            out.null("comment")
          }
        }
      }
    }
    return out.text + "\n"
  }

  private static func write(_ trace: TraceThumbnail?, to out: inout JSONText) {
    guard let trace, !trace.svg.isEmpty else { return out.null("trace") }
    out.object("trace") { out in
      out.field("from", Timestamp.format(trace.range.lowerBound))
      out.field("to", Timestamp.format(trace.range.upperBound))
      out.field("limit", trace.limit)
      out.array("means") { out in
        for mean in trace.means { out.rawElement(mean.map { "\((1000 * $0).rounded() / 1000)" } ?? "null") }
      }
      out.field("svg", trace.svg)
    }
  }
}

/// One line of a sheet that came back.
package struct ReviewedRow: Hashable, Sendable {
  /// In the file, 1 the first.
  package var line: Int
  package var alertID: String
  /// Nil: the cell is empty, nobody judged it.
  package var verdict: AlertVerdict?
  /// Empty: not said.
  package var reviewer: String
  /// Nil: the sheet has no names of patients.
  package var patient: String?
  /// Milliseconds since 1970; nil: no readable time.
  package var time: Int64?

  package init(
    line: Int, alertID: String, verdict: AlertVerdict?, reviewer: String = "", patient: String? = nil,
    time: Int64? = nil
  ) {
    self.line = line
    self.alertID = alertID
    self.verdict = verdict
    self.reviewer = reviewer
    self.patient = patient
    self.time = time
  }
}

/// A sheet that came back from a reviewer: columns in any order, also with semicolons or tabs between cells, as spreadsheets
/// save them.
package struct ReviewedSheet: Sendable {
  package let rows: [ReviewedRow]

  /// - Throws: the first thing wrong: a verdict misread would be a judgement nobody made.
  package init(_ text: String, file: String) throws(LabelProblem) {
    guard let table = SheetText.rows(text) else {
      throw LabelProblem(file: file, line: 0, message: "a quote is never closed")
    }
    guard let header = table.first else { throw LabelProblem(file: file, line: 0, message: "it is empty") }
    let names = header.cells.map { $0.lowercased() }
    func place(_ name: String) throws(LabelProblem) -> Int {
      if let place = names.firstIndex(of: name) { return place }
      throw LabelProblem(
        file: file, line: header.line, message: "there is no column `\(name)`: is it a sheet of `vigil label export`?")
    }
    let (alert, verdict) = (try place("alert_id"), try place("verdict"))
    let optional = ["reviewer", "patient_id", "time"].map { names.firstIndex(of: $0) }
    var rows: [ReviewedRow] = []
    for row in table.dropFirst() {
      // Spreadsheets drop empty cells at the end of a line.
      let cells = row.cells + Array(repeating: "", count: max(0, names.count - row.cells.count))
      guard cells.count == names.count, !cells[alert].isEmpty else {
        throw LabelProblem(file: file, line: row.line, message: "it has no alert_id, or more cells than the first line")
      }
      let word = cells[verdict]
      let given = AlertVerdict(text: word)
      guard word.isEmpty || given != nil else {
        throw LabelProblem(
          file: file, line: row.line,
          message: "verdict `\(word.prefix(40))` is none of true, actionable, false, not-relevant, unsure")
      }
      rows.append(
        ReviewedRow(
          line: row.line, alertID: SheetText.unguarded(cells[alert]), verdict: given,
          reviewer: optional[0].map { SheetText.unguarded(cells[$0]) } ?? "",
          patient: optional[1].map { SheetText.unguarded(cells[$0]) }.flatMap { $0.isEmpty ? nil : $0 },
          time: optional[2].flatMap { Timestamp.parse(cells[$0]) }))
    }
    self.rows = rows
  }
}

/// Comma-separated text as RFC 4180 has it, line breaks within quotes included.
package enum SheetText {
  /// A cell, quoted where it must be. A cell that a spreadsheet would take for a formula gets an apostrophe in front.
  package static func cell(_ text: String) -> String {
    let safe = text.first.map { "=+@\t".contains($0) } == true ? "'" + text : text
    guard safe.utf8.contains(where: { $0 == 0x22 || $0 == 0x2C || $0 == 0x3B || $0 == 10 || $0 == 13 }) else {
      return safe
    }
    return "\"" + safe.replacing("\"", with: "\"\"") + "\""
  }

  /// A cell's text without the apostrophe that ``cell(_:)`` put in front of it.
  static func unguarded(_ cell: String) -> String {
    guard cell.first == "'", let second = cell.dropFirst().first, "=+@\t".contains(second) else { return cell }
    return String(cell.dropFirst())
  }

  /// Rows with content and their first lines; cells without blanks around them; nil: a quote is never closed. Between cells
  /// stands what the first line uses: a comma, else a semicolon or tab.
  package static func rows(_ text: String) -> [(line: Int, cells: [String])]? {
    let body = text.first == "\u{FEFF}" ? text.dropFirst() : text[...]
    let first = body.prefix { !$0.isNewline }
    let separator: Character = first.contains(",") ? "," : first.contains(";") ? ";" : "\t"
    var rows: [(line: Int, cells: [String])] = []
    var cells: [String] = []
    var cell = ""
    var (line, start) = (1, 1)
    var isQuoted = false
    func trimmed(_ text: String) -> String {
      guard let first = text.firstIndex(where: { !$0.isWhitespace }),
        let last = text.lastIndex(where: { !$0.isWhitespace })
      else { return "" }
      return String(text[first...last])
    }
    func endRow() {
      cells.append(trimmed(cell))
      if cells.contains(where: { !$0.isEmpty }) { rows.append((start, cells)) }
      cells = []
      cell = ""
    }
    let characters = Array(body)
    var index = 0
    while index < characters.count {
      let character = characters[index]
      index += 1
      if character.isNewline { line += 1 }
      if isQuoted {
        if character != "\"" {
          cell.append(character)
        } else if index < characters.count, characters[index] == "\"" {
          cell.append(character)
          index += 1
        } else {
          isQuoted = false
        }
      } else if character == "\"" {
        isQuoted = true
      } else if character == separator {
        cells.append(trimmed(cell))
        cell = ""
      } else if character.isNewline {
        endRow()
        start = line
      } else {
        cell.append(character)
      }
    }
    guard !isQuoted else { return nil }
    endRow()
    return rows
  }
}
