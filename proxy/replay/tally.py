class Tally:
    def __init__(self): self.requests=0; self.words={}
    def add(self, r): self.requests+=1; self.words[r.word]=self.words.get(r.word,0)+1
