/// Windows of fixed length of one patient, by whether they hold an event and whether an alert starts in them.
struct WindowTally: Hashable, Sendable {
  var truePositives = 0
  var falsePositives = 0
  var falseNegatives = 0
  var trueNegatives = 0
  /// Windows that touch a censored stretch.
  var censored = 0

  var positives: Int { truePositives + falseNegatives }
  var negatives: Int { falsePositives + trueNegatives }

  /// Windows of one patient's stay: each span is cut from its begin, a shorter one at its end counts. O(windows of events +
  /// alerts); windows without either are counted, not visited.
  init(
    _ stay: WatchedStay, times: some Collection<Int64>, events: [CohortEvent], censored: [ClosedRange<Int64>],
    _ convention: EvaluationConvention
  ) {
    let length = convention.window
    precondition(length >= EvaluationConvention.windowMin, "windows of at least a minute")
    for span in stay.spans {
      let total = Int((span.upperBound - span.lowerBound + length - 1) / length)
      /// Windows a half-open stretch reaches into.
      func windows(_ first: Int64, _ end: Int64) -> Range<Int> {
        let low = max(first, span.lowerBound)
        let high = min(end, span.upperBound)
        guard low < high else { return 0..<0 }
        return Int((low - span.lowerBound) / length)..<Int((high - span.lowerBound + length - 1) / length)
      }
      var hidden: Set<Int> = []
      for range in censored { hidden.formUnion(windows(range.lowerBound, range.upperBound + 1)) }
      var positive: Set<Int> = []
      for event in events {
        let (first, last) = convention.range(onset: event.onset, end: event.end)
        let isMatch = convention.windowTruth == .match
        positive.formUnion(
          windows(isMatch ? first : event.onset, isMatch ? last + 1 : max(event.onset + 1, event.end ?? 0)))
      }
      positive.subtract(hidden)
      var alerted: Set<Int> = []
      for time in times { alerted.formUnion(windows(time, time + 1)) }
      alerted.subtract(hidden)
      let hits = alerted.intersection(positive).count
      truePositives += hits
      falsePositives += alerted.count - hits
      falseNegatives += positive.count - hits
      trueNegatives += total - hidden.count - alerted.count - (positive.count - hits)
      self.censored += hidden.count
    }
  }
}
