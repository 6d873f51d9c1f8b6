import VitalModel

/// Which labels are the events, and what else labels say.
package struct LabelSelection: Hashable, Sendable {
  /// Kinds that are events; empty: the only kind there is.
  package var labels: [String] = []
  /// Kinds that mark moments at which an alert would be wrong: a false alarm of a monitor, say.
  package var negative: [String] = []
  /// Kinds that mark stretches in which nobody can say whether an alert is true: from onset to end, or to the end of the
  /// record.
  package var censor: [String] = []
  /// Events known to be shorter are left out and counted, milliseconds.
  package var lengthMin: Int64 = 0
  /// Events of one kind and patient with less than this between them are one, milliseconds.
  package var mergeGap: Int64 = 0
  package init() {}
}

/// A stretch or moment of one patient with a label.
package struct LabelledSpan: Hashable, Sendable {
  package var patient: String
  package var label: String
  /// Milliseconds since 1970.
  package var onset: Int64
  /// nil: a moment, or not known.
  package var end: Int64?

  /// The end, or the onset of a moment.
  package var last: Int64 { end ?? onset }
}

/// Labels sorted out: what counts as an event, what as its absence, what as neither.
package struct LabelSet: Sendable {
  /// Kinds that are events, sorted.
  package let kinds: [String]
  /// By patient, then onset, then kind.
  package let events: [LabelledSpan]
  package let negatives: [LabelledSpan]
  package let censored: [LabelledSpan]
  /// Labels that became part of another event, and events left out as too short.
  package let merged: Int
  package let tooShort: Int

  /// Pairs `NAME_start` with the next `NAME_end` of the same patient where the file writes stretches so: they are of the
  /// kind NAME.
  ///
  /// - Throws: kinds that are not in the file; several kinds where none was chosen (SEMANTICS F1).
  package init(_ table: LabelTable, _ selection: LabelSelection) throws(LabelProblem) {
    let spans = LabelSet.spans(table.rows)
    let known = Set(spans.map(\.label)).sorted()
    let chosen = try LabelSet.chosen(table, selection, known)
    let order = { (a: LabelledSpan, b: LabelledSpan) in
      (a.patient, a.onset, a.label, a.last) < (b.patient, b.onset, b.label, b.last)
    }
    let wanted = spans.filter { chosen.contains($0.label) }
    let joined = LabelSet.joined(wanted, gap: selection.mergeGap)
    let long = joined.filter { span in span.end.map { $0 - span.onset >= selection.lengthMin } ?? true }
    kinds = chosen
    events = long.sorted(by: order)
    negatives = spans.filter { selection.negative.contains($0.label) }.sorted(by: order)
    censored = spans.filter { selection.censor.contains($0.label) }.sorted(by: order)
    merged = wanted.count - joined.count
    tooShort = joined.count - long.count
  }

  private static func chosen(
    _ table: LabelTable, _ selection: LabelSelection, _ known: [String]
  ) throws(LabelProblem) -> [String] {
    func problem(_ message: String) -> LabelProblem { LabelProblem(file: table.file, line: 0, message: message) }
    for (flag, names) in [
      ("--label", selection.labels), ("--negative", selection.negative), ("--censor", selection.censor),
    ] {
      for name in names where !known.contains(name) {
        throw problem("no label is called `\(name)` (\(flag)); there are: \(known.joined(separator: ", "))")
      }
    }
    let others = Set(selection.negative + selection.censor)
    if let both = selection.labels.first(where: others.contains) {
      throw problem("`\(both)` cannot be an event and something else: name it once")
    }
    if !selection.labels.isEmpty { return Set(selection.labels).sorted() }
    let left = known.filter { !others.contains($0) }
    guard left.count <= 1 else {
      throw problem("it mixes kinds: choose with --label (\(left.joined(separator: ", ")))")
    }
    guard !left.isEmpty else { throw problem("it has no events: only a first line, or none that is not set aside") }
    return left
  }

  /// Rows as spans, starts and ends paired; an end without a start is passed over, a start without an end is a moment.
  private static func spans(_ rows: [LabelRow]) -> [LabelledSpan] {
    let names = Set(rows.map(\.label))
    let paired = Set(
      names.filter { $0.hasSuffix("_start") && names.contains($0.dropLast(6) + "_end") }.map { String($0.dropLast(6)) })
    var ends: [String: [Int64]] = [:]
    for row in rows where row.label.hasSuffix("_end") {
      ends[row.patient + "\u{1F}" + row.label.dropLast(4), default: []].append(row.onset)
    }
    for key in ends.keys { ends[key]?.sort() }
    return rows.compactMap { row in
      if row.label.hasSuffix("_end"), paired.contains(String(row.label.dropLast(4))) { return nil }
      guard row.label.hasSuffix("_start"), paired.contains(String(row.label.dropLast(6))) else {
        return LabelledSpan(patient: row.patient, label: row.label, onset: row.onset, end: row.end)
      }
      let kind = String(row.label.dropLast(6))
      let end = row.end ?? ends[row.patient + "\u{1F}" + kind]?.first { $0 >= row.onset }
      return LabelledSpan(patient: row.patient, label: kind, onset: row.onset, end: end)
    }
  }

  /// Spans of one patient and kind as one where they overlap, are the same, or have less than the gap between them.
  private static func joined(_ spans: [LabelledSpan], gap: Int64) -> [LabelledSpan] {
    let sorted = spans.sorted { ($0.patient, $0.label, $0.onset, $0.last) < ($1.patient, $1.label, $1.onset, $1.last) }
    var result: [LabelledSpan] = []
    for span in sorted {
      guard let open = result.last, open.patient == span.patient, open.label == span.label,
        span.onset == open.onset || span.onset - open.last < gap || span.onset < open.last
      else {
        result.append(span)
        continue
      }
      let last = max(open.last, span.last)
      result[result.count - 1].end = open.end == nil && span.end == nil && last == open.onset ? nil : last
    }
    return result
  }
}
