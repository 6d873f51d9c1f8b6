import VitalModel

/// One line of `labels.csv`: something that really happened, by somebody else's judgement.
package struct LabelRow: Hashable, Sendable {
  /// In the file, 1 the first.
  package var line: Int
  package var patient: String
  /// Milliseconds since 1970.
  package var onset: Int64
  /// Milliseconds since 1970; nil: a moment, or not known.
  package var end: Int64?
  package var label: String

  package init(line: Int, patient: String, onset: Int64, end: Int64? = nil, label: String) {
    self.line = line
    self.patient = patient
    self.onset = onset
    self.end = end
    self.label = label
  }
}

/// What is wrong with labels, and where.
package struct LabelProblem: Error, Hashable, Sendable, CustomStringConvertible {
  package var file: String
  /// 1 the first; 0: the file as a whole.
  package var line: Int
  /// Lower case, no full stop.
  package var message: String

  /// `file:line: message`, one line.
  package var description: String { line > 0 ? "\(file):\(line): \(message)" : "\(file): \(message)" }
}

/// The text of a `labels.csv`: `patient_id,onset_time_s[,end_time_s],label`, other columns passed over. Times are seconds
/// from the recording's epoch or RFC 3339, under these names or as `onset_time` and `end_time`.
package struct LabelTable: Sendable {
  package let file: String
  /// In file order.
  package let rows: [LabelRow]

  package init(file: String, rows: [LabelRow]) {
    self.file = file
    self.rows = rows
  }

  /// - Parameters:
  ///   - file: what errors call it.
  ///   - epoch: what relative seconds count from, milliseconds since 1970.
  /// - Throws: the first thing wrong; the caller shows it and stops, since figures without a label would flatter.
  package init(_ text: String, file: String, epoch: Int64) throws(LabelProblem) {
    var header: Header?
    var rows: [LabelRow] = []
    var number = 0
    // A carriage return and line feed are one character of Swift text: both must be split on.
    for raw in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
      number += 1
      let line = number == 1 && raw.first == "\u{FEFF}" ? raw.dropFirst() : raw
      guard !line.allSatisfy(\.isWhitespace) else { continue }
      guard let fields = LabelTable.fields(line) else {
        throw LabelProblem(file: file, line: number, message: "a quote is never closed")
      }
      guard let known = header else {
        header = try Header(fields, file: file, line: number)
        continue
      }
      rows.append(try known.row(fields, file: file, line: number, epoch: epoch))
    }
    guard header != nil else {
      throw LabelProblem(
        file: file, line: 0, message: "it is empty: a line `patient_id,onset_time_s,label` must come first")
    }
    self.init(file: file, rows: rows)
  }

  /// Cells without surrounding blanks; nil: a quote is open at the end of the line.
  private static func fields(_ line: Substring) -> [String]? {
    var fields: [String] = []
    var field = ""
    var isQuoted = false
    for character in line {
      if character == "\"" {
        isQuoted.toggle()
      } else if character == ",", !isQuoted {
        fields.append(trimmed(field))
        field = ""
      } else {
        field.append(character)
      }
    }
    fields.append(trimmed(field))
    return isQuoted ? nil : fields
  }

  private static func trimmed(_ text: String) -> String {
    guard let first = text.firstIndex(where: { !$0.isWhitespace }),
      let last = text.lastIndex(where: { !$0.isWhitespace })
    else { return "" }
    return String(text[first...last])
  }

  /// Where the columns are.
  private struct Header {
    let width: Int
    let patient: Int
    let onset: Int
    let end: Int?
    let label: Int

    init(_ fields: [String], file: String, line: Int) throws(LabelProblem) {
      let names = fields.map { $0.lowercased() }
      func place(_ candidates: String...) throws(LabelProblem) -> Int {
        for name in candidates { if let place = names.firstIndex(of: name) { return place } }
        throw LabelProblem(
          file: file, line: line,
          message: "there is no column `\(candidates[0])`: expected patient_id, onset_time_s, label")
      }
      width = fields.count
      patient = try place("patient_id", "patient")
      onset = try place("onset_time_s", "onset_time", "time_s", "time")
      end = names.firstIndex(of: "end_time_s") ?? names.firstIndex(of: "end_time")
      label = try place("label")
    }

    func row(_ fields: [String], file: String, line: Int, epoch: Int64) throws(LabelProblem) -> LabelRow {
      func problem(_ message: String) -> LabelProblem { LabelProblem(file: file, line: line, message: message) }
      guard fields.count == width else {
        throw problem("\(fields.count) cells where the first line has \(width)")
      }
      guard !fields[patient].isEmpty else { throw problem("the patient is missing") }
      guard !fields[label].isEmpty else { throw problem("the label is missing") }
      guard let start = LabelTable.time(fields[onset], epoch: epoch) else {
        throw problem("onset `\(fields[onset].prefix(40))` is neither seconds nor an RFC 3339 time with offset")
      }
      var last: Int64?
      if let end, !fields[end].isEmpty {
        last = LabelTable.time(fields[end], epoch: epoch)
        guard let last else {
          throw problem("end `\(fields[end].prefix(40))` is neither seconds nor an RFC 3339 time with offset")
        }
        guard last >= start else { throw problem("it ends before it begins") }
      }
      return LabelRow(line: line, patient: fields[patient], onset: start, end: last, label: fields[label])
    }
  }

  /// Milliseconds since 1970 of seconds from an epoch or of RFC 3339 text; nil: neither, or outside ``Timestamp/accepted``.
  private static func time(_ text: String, epoch: Int64) -> Int64? {
    if let absolute = Timestamp.parse(text) { return absolute }
    guard let relative = DecimalValue(text)?.scaled(toExponent: -3) else { return nil }
    let (time, overflow) = epoch.addingReportingOverflow(relative)
    return overflow || !Timestamp.accepted.contains(time) ? nil : time
  }
}
