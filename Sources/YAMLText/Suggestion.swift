/// Finds the word an author probably meant.
package enum Suggestion {
  /// The nearest candidate at most two single-character edits away (one for words of up to three characters), upper and
  /// lower case taken as equal; the first of equally near ones in sorted order. O(candidates x length squared).
  package static func nearest(_ word: String, among candidates: some Sequence<String>) -> String? {
    guard !word.isEmpty, word.utf8.count <= 64 else { return nil }
    let bound = word.count <= 3 ? 1 : 2
    var best: (distance: Int, text: String)?
    for candidate in candidates.sorted() {
      let distance = self.distance(word.lowercased(), candidate.lowercased())
      guard distance <= bound, distance < best?.distance ?? .max else { continue }
      best = (distance, candidate)
    }
    return best?.text
  }

  /// Insertions, deletions, replacements and swaps of neighbours that make one text of the other (Levenshtein with
  /// transpositions, each stretch edited once).
  package static func distance(_ a: String, _ b: String) -> Int {
    let left = Array(a)
    let right = Array(b)
    var before: [Int] = []
    var row = Array(0...right.count)
    for i in left.indices {
      var next = [i + 1]
      next.reserveCapacity(row.count)
      for j in right.indices {
        var best = min(row[j + 1] + 1, next[j] + 1, row[j] + (left[i] == right[j] ? 0 : 1))
        if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { best = min(best, before[j - 1] + 1) }
        next.append(best)
      }
      before = row
      row = next
    }
    return row[right.count]
  }
}
