"""Words that the questions are made of: ordinary ones, made-up ones, names, colours, animals, cities."""

WORDS = """
able acorn actor adult after agent album alley alone amber angel ankle apple apron arch arena armor arrow artist ash
atlas attic autumn awake bacon badge bagel baker ball balloon banana band banjo barn basin basket bath beach beacon
beam bean beard beauty bed beetle bell belt bench berry bicycle bird biscuit blanket blossom blue board boat bone
book boot border bottle bottom bowl box branch brave bread breeze brick bridge bright broom brother brush bubble
bucket bundle butter button cabin cabbage cactus cake camera camp canal candle cannon canvas canyon captain car
carbon card carpet carrot castle cellar cello chain chair chalk cheese cherry chess chest chimney circle circus
city clay clever cliff clock cloud clover coach coast coat cocoa coffee coin collar colour comet common copper coral
corner cotton country cousin crab cradle crane crayon cream creek crown cup curtain cushion cycle daisy dance dawn
deck deer delta desert desk diary dinner dish doctor doll donkey door dragon drawer dream dress drum duck dust eagle
ear early earth east echo edge egg elbow elder elm ember empire engine evening fable fabric face falcon family farm
father feather fence ferry fiddle field finger fire flag flame flower flute foam fog forest fork fossil fountain fox
frame friend frog frost fruit funnel garden garlic gate gentle ghost giant ginger giraffe glass globe glove goat
gold goose grain grape grass gravel green grove guitar gull hall hammer hammock hand handle happy harbor harvest hat
hazel heart heather hedge helmet herb hill hobby hollow honest honey hood hook hope horn horse hotel house hunter
ice idea igloo ink insect iron island ivory ivy jacket jam jar jelly jewel journey judge juice jungle kettle key king
kitchen kite kitten knee knight ladder lady lake lamp lantern laurel lawn leaf leather lemon lesson letter level
library light lily lime linen lion little lizard llama lobster lock log loop lotus lumber lunch machine magnet maple
marble market mask match meadow melon mellow memory metal middle milk mill mint mirror mist mitten model mole moon
morning moss mother motor mountain mouse mud muffin museum music mustard napkin needle nest net night noble noon
north nose note novel nurse nut oak oasis oat ocean office olive onion orange orbit otter oven owl oyster page paint
pair palace palm pancake panda paper parade parcel park parrot path pasta peach pear pebble pencil penguin people
pepper petal piano pickle picnic picture pigeon pillow pilot pine pirate planet plate plaza plum pocket poem poet
pond pony poppy potato pottery powder prairie prize puddle pumpkin pupil puppy puzzle pyramid quail quartz queen
question quick quiet quilt rabbit radio radish rain rainbow raven ribbon rice river road robin rocket roof room root
rope rose ruby ruler saddle sail salad salmon salt sand sauce scarf school science scissors sea season seed shadow
sheep shell shelf ship shirt shoe shore silk silver simple sister sky sled sleep slipper slope smile smoke snail snow
soap sock sofa soup spark sparrow spice spider spoon spring square squirrel stable stair star station steam stone
store storm story stove straw stream street string summer sun sunset swan sweater table tailor tea teacher temple
tent theatre thimble thistle thread thunder ticket tiger timber toast toffee tomato tower town toy track train tree
truck trumpet tulip tunnel turkey turnip turtle twig uncle under unit valley vanilla velvet village vine violet
violin visit voice volcano wagon walnut warm water wave wax weather web week well whale wheat wheel whistle willow
wind window winter wolf wonder wood wool word world yard year yellow young zebra zoo
""".split()

NAMES = """
Ada Adam Agnes Ahmed Aisha Alan Alex Alice Amara Amy Ana Andre Anna Anton Aria Arthur Asha Ben Bella Bianca Boris
Bruno Carla Carlos Carmen Cara Cecil Chen Chloe Clara Claude Cora Dana Daniel Dara David Dean Diana Diego Dora Dylan
Edgar Edith Elena Eli Ella Ellen Elsa Emil Emma Eric Erik Esther Eva Eve Faith Farid Felix Fiona Flora Frank Fred
Frida Gabriel Gina Grace Greta Hana Hannah Harry Hassan Hector Heidi Helen Hugo Ian Ida Igor Ines Ingrid Iris Isaac
Ivan Jack Jacob Jana Jane Jasper Jean Jill Joan Joel John Jonas Josef Juan Julia June Kai Kara Karl Kate Kenji Kim
Kira Lara Laura Layla Lea Leo Leon Lena Liam Lily Lina Linda Lisa Lucas Lucy Luis Luna Mara Marco Maria Mark Martha
Mary Max Maya Mei Mia Milo Mina Mira Mona Nadia Nancy Naomi Nina Noah Nora Olga Oliver Omar Oscar Otto Paul Paula
Pedro Peter Petra Quinn Rafael Rana Ravi Rita Robert Rosa Ruth Sam Samir Sara Simon Sofia Sonia Stella Tara Theo
Thomas Tina Tom Tomas Uma Vera Victor Viktor Wanda Will Yara Yuki Yusuf Zara Zoe
""".split()

COLOURS = """red blue green yellow orange purple pink brown black white grey gold silver turquoise violet crimson
indigo teal""".split()

ANIMALS = """cat dog horse rabbit tiger lion bear wolf fox otter owl eagle dolphin whale turtle frog panda koala zebra
giraffe elephant monkey penguin parrot goat sheep hedgehog squirrel swan lizard""".split()

CITIES = """Paris London Berlin Madrid Rome Vienna Lisbon Dublin Oslo Athens Prague Warsaw Cairo Nairobi Lagos Tokyo
Osaka Seoul Delhi Mumbai Sydney Toronto Montreal Boston Chicago Lima Quito Havana Geneva Zurich Milan Naples Turin
Porto Bergen Helsinki Riga Tallinn Kyoto Hanoi Manila Jakarta""".split()

# Subjects of the questions that the model must decline.
SUBJECTS = """history physics poetry football chess cooking gardening music painting politics medicine astronomy
chemistry biology geography economics law sailing dancing photography philosophy grammar architecture weather
""".split()

VOWELS, CONSONANTS, LETTERS = "aeiou", "bcdfghjklmnpqrstvwxyz", "abcdefghijklmnopqrstuvwxyz"


def made_up(rng, low, high):
    """A word of low..high letters that no list holds: mostly syllables, sometimes letters at random."""
    n = rng.randint(low, high)
    if rng.random() < 0.25:
        return "".join(rng.choice(LETTERS) for _ in range(n))
    word, vowel = "", rng.random() < 0.3
    while len(word) < n:
        word += rng.choice(VOWELS if vowel else CONSONANTS)
        vowel = not vowel if rng.random() < 0.85 else vowel
    return word


def word(rng, low, high):
    """An ordinary word or, as often, a made-up one, of low..high letters."""
    if rng.random() < 0.5:
        while True:
            w = rng.choice(WORDS)
            if low <= len(w) <= high:
                return w
    return made_up(rng, low, high)
