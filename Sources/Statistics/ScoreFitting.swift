/// Fits an additive whole-point score: few items, few bands each, points that run as told (Ustun and Rudin 2019 for the
/// idea of small whole-number scores; bands by dynamic programming, items by greedy forward choice with replacement).
///
/// Pure and deterministic: equal rows give equal scores, and nothing of a patient not fitted on is looked at.
package struct ScoreFitting: Sendable {
  package struct Options: Hashable, Sendable {
    /// 1 to 12.
    package var itemsMax = 8
    /// 2 to 9.
    package var bandsMax = 5
    /// 1 to 10.
    package var pointsMax = 6
    /// The share of the quiet rows' weight that is spread over hours of the stay as events are; 0 to 1.
    package var balance = 0.5
    /// Pulls coefficients towards none, as if so many events told nothing.
    package var ridge = 2.0
    /// What one more band must add to the log-likelihood, in events.
    package var bandPrice = 0.25
    /// What one more item must add to it.
    package var itemPrice = 1.0
    /// The least share of the rows' weight that a band has.
    package var shareMin = 0.01
    /// Times every item is tried to be replaced by a better one.
    package var replacements = 1
    package init() {}
  }

  /// One item of a fitted score.
  package struct Item: Hashable, Sendable {
    /// Position in ``ScoreFittingRows/inputs``.
    package var input: Int
    /// By band: its last value (included), `Int32.max` of the last band, and its points.
    package var bands: [(upTo: Int32, points: Int)]

    package static func == (a: Item, b: Item) -> Bool {
      a.input == b.input && a.bands.elementsEqual(b.bands) { $0 == $1 }
    }
    package func hash(into hasher: inout Hasher) { hasher.combine(input) }

    /// None where the value is unknown.
    package func points(_ value: Int32) -> Int {
      if value == ScoreFittingInput.unknown { return 0 }
      return bands.first { value <= $0.upTo }?.points ?? 0
    }
  }

  package let items: [Item]
  /// Patients with an event and rows it was fitted on.
  package let events: Int
  package let rows: Int
  /// Log-likelihood the points add to none, in events.
  package let gain: Double

  /// The most points it can give.
  package var most: Int { items.reduce(0) { $0 + ($1.bands.map(\.points).max() ?? 0) } }

  /// O(items × inputs × rows).
  ///
  /// - Parameter isMember: whether a patient, by position in the cohort, is fitted on.
  package init(_ rows: ScoreFittingRows, options: Options = Options(), isMember: (Int) -> Bool) {
    let balanced = BalancedRows(rows, balance: options.balance, isMember: isMember)
    var model = AdditiveModel(balanced, rows.inputs, options)
    model.choose()
    var points = WholePoints(model, pointsMax: options.pointsMax)
    points.improve()
    points.widen()
    items = points.items
    events = balanced.events
    self.rows = balanced.rows.count
    gain = points.gain
  }

  /// Total by row, of every row.
  package func totals(_ rows: ScoreFittingRows) -> [Int] {
    var totals = [Int](repeating: 0, count: rows.count)
    for item in items {
      let values = rows.inputs[item.input].values
      for row in totals.indices { totals[row] += item.points(values[row]) }
    }
    return totals
  }
}
